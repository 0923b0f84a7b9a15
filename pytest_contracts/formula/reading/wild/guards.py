"""Guards behind a claim: ``when``, ``for all i``, ``per channel c``, ``within 4 ULP``.

A condition that is not a formula stays in the tree as ``Words``: neither dropped nor guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_contracts.formula.reading.wild.checks import is_claim
from pytest_contracts.formula.reading.wild.indices import Bound, occurs, quantified
from pytest_contracts.formula.reading.wild.operators import WildOperators
from pytest_contracts.formula.tree import (
    Call,
    Compare,
    Expr,
    Interval,
    Logic,
    Name,
    Restrict,
    Words,
)

_CONDITIONS = frozenset({"when", "if", "for", "where", "with", "given"})
_PLACES = frozenset({"at", "after", "under", "during", "in"})
_EACH = re.compile(r"(?:for\s+(?:all|any|each|every)|per|at\s+(?:every|each))\s+")
_WORDS = re.compile(r"[^\W_][\w\-'/+. ]*")
_STOP = re.compile(r"\s(?=(?:when|if|where|with|within|per|for all|at every)\s)|\s*$")
_NOUN_VARIABLE = re.compile(r"((?:[A-Za-z][\w\-]*\s+)+)([^\W\d]\w*)")
_VAGUE = frozenset(
    (
        *("some", "no", "most", "few", "many", "almost", "least", "nearly", "exactly", "only"),
        *("except", "unless", "average", "expectation", "usually", "typically"),
        *("generally", "or", "implies", "iff", "then", "otherwise", "else"),
    )
)
"""Words that turn a condition into something else: a weaker claim, or a second one."""
_MAX_WORDS = 20
_GRAMMAR = frozenset(
    ("for", "all", "any", "each", "every", "when", "if", "where", "with", "in", "at")
)
_WITHIN = re.compile(r"within\s+(?:tolerance|(?:(\d{1,6})\s+)?(ULP)s?)\s*$")


@dataclass
class _Guards:
    """What follows a claim: conditions and binders, each as far out as it was written."""

    conditions: list[tuple[str, Expr]] = field(default_factory=list)
    binders: list[tuple[Bound, int]] = field(default_factory=list)
    """Each with the number of conditions that stand before it."""


class WildGuards(WildOperators):
    """Parses the guards that follow a claim."""

    tolerance: float | None = None
    in_ulp = False
    listed = False

    def claim(self) -> Expr:
        """Parse a claim with its guards; at the top, commas join several."""
        node = self.joined()
        return self.guarded(node)

    def guarded(self, node: Expr) -> Expr:
        """Parse the guards that follow a claim."""
        guards = _Guards()
        self.bound_from = self.current.offset
        while (word := self._guard_word()) is not None:
            if self.listed and word in ("for", "when", "if") and not self._names_all():
                raise self.error("a condition after several conditions is ambiguous")
            if word == "within":
                node = self._within(node)
            elif not self._each(node, guards):
                self._condition(word, guards)
        return self._assembled(node, guards)

    def _guard_word(self) -> str | None:
        token = self.current
        text = self.text[token.offset : token.end]
        if token.kind == "operator" and token.text == "forall":
            return "for"
        if self.at("(") and token.spaced and self.lists:
            inside = re.match(r"\(\s*(for|with|when|if|where|within)\s", self.text[token.offset :])
            if inside is not None and self.text.rstrip().endswith(")"):
                return "("
        known = text in _CONDITIONS or text in _PLACES or text in ("per", "within")
        return text if known and token.kind in ("name", "operator") else None

    def _names_all(self) -> bool:
        return _EACH.match(self.text, self.current.offset) is not None

    def _within(self, node: Expr) -> Expr:
        """Read ``a = b within tolerance`` as ``a ≈ b``."""
        match = _WITHIN.match(self.text, self.current.offset)
        if match is None or not isinstance(node, Compare) or len(node.rest) != 1:
            raise self.error("what lies within what is not clear")
        if node.rest[0][0] != "==":
            raise self.error("only an equality holds within a tolerance")
        self.tolerance = None if match.group(1) is None else float(match.group(1))
        self.in_ulp = match.group(2) is not None
        self._jump(match.end())
        return Compare(node.first, (("approx", node.rest[0][1]),), offset=node.offset)

    def _each(self, claim: Expr, guards: _Guards) -> bool:
        """Parse ``for all i``, ``per channel c``; False where it is a condition in words."""
        start = self._save()
        sign = self.at("forall")
        if sign:
            self.advance()
        else:
            match = _EACH.match(self.text, self.current.offset)
            if match is None:
                return False
            self._jump(match.end())
        mentioned = [claim, *(condition for _, condition in guards.conditions)]
        found = self.attempt(lambda: self._variables(mentioned))
        found = found or self.attempt(lambda: self._noun_variable(mentioned))
        if found is None:
            if sign:
                raise self.error("what this holds for is not clear")
            self._restore(start)
            return False
        variables, conditions = found
        guards.binders += [(bound, len(guards.conditions)) for bound in variables]
        guards.conditions += conditions
        return True

    def _variables(self, mentioned: list[Expr]) -> tuple[list[Bound], list[tuple[str, Expr]]]:
        """Parse ``x, y in D`` or ``k >= 2``."""
        variables: list[Bound] = []
        conditions: list[tuple[str, Expr]] = []
        group: list[str] = []
        while True:
            token = self.identifier("a variable")
            if not (_letter(token.text) or any(occurs(token.text, node) for node in mentioned)):
                raise self.error(f"'{token.text}' does not occur in the claim", token)
            group.append(token.text)
            if self.accept("in"):
                over = self.membership()
                # "x, p in [0, 1)" says nothing of x, by the custom of these files.
                variables += [(name, None, "") for name in group[:-1]]
                variables.append(self._over(group[-1], over, conditions))
                group = []
            elif self.at("<", "<=", ">", ">=", "!="):
                if len(group) > 1:
                    raise self.error("whether this bounds every variable is not clear")
                conditions.append(("when", self.comparison(Name(token.text, offset=token.offset))))
            if not self.accept(","):
                break
        variables += [(name, None, "") for name in group]
        self._expect_boundary()
        return variables, conditions

    def _over(self, name: str, over: Expr, conditions: list[tuple[str, Expr]]) -> Bound:
        """Return a binder; an interval is no set to walk through, but a condition."""
        if isinstance(over, Interval):
            member = Compare(Name(name), (("in", over),), offset=over.offset)
            conditions.append(("when", member))
            return name, None, ""
        return name, over, ""

    def _noun_variable(self, mentioned: list[Expr]) -> tuple[list[Bound], list[tuple[str, Expr]]]:
        """Parse ``boosting round m``: words that say what the variable is."""
        match = _NOUN_VARIABLE.match(self.text, self.current.offset)
        while match is not None:
            nouns, variable = match.group(1).strip(), match.group(2)
            words = set(nouns.split())
            plain = not any(occurs(word, node) for word in words for node in mentioned)
            if plain and any(occurs(variable, node) for node in mentioned):
                self._jump(match.end())
                self._expect_boundary()
                return [(variable, None, nouns)], []
            match = _NOUN_VARIABLE.match(self.text, self.current.offset, match.start(2))
        raise self.error("no variable of the claim")

    def _condition(self, word: str, guards: _Guards) -> None:
        """Parse a condition: a formula where it is one, else its words."""
        if word == "(":
            self.advance()
            inner = self._guard_word()
            assert inner is not None
            self.lists = False
            if inner == "within" or self._each(Words(), guards):
                raise self.error("a guard in parentheses that is not clear")
            self._condition(inner, guards)
            self.lists = True
            self.expect(")")
            return
        start = self._save()
        if word in _CONDITIONS:
            self.advance()
            condition = self.attempt(lambda: self._formula_condition(word))
            if condition is not None:
                guards.conditions.append((word, condition))
                return
            self._restore(start)
        guards.conditions.append(("when", self._words()))

    def _formula_condition(self, word: str) -> Expr:
        finite = re.compile(r"finite\s+(\w+)").match(self.text, self.current.offset)
        if finite is not None:
            self._jump(finite.start(1))
            condition: Expr = Call("finite", (self.operand(),))
        else:
            with_lists, self.lists = self.lists, self.lists and word in ("for", "with")
            condition = self.joined()
            self.lists = with_lists
            # "P for x > 1 and Q for x < 0" would take Q for a condition of P.
            self.listed = isinstance(condition, Logic) and condition is not self.grouped
        self._expect_boundary()
        if not is_claim(condition):
            raise self.error("a value is no condition")
        return condition

    def _words(self) -> Expr:
        """Parse a condition in words: no sign of a formula is among them."""
        start = self.current.offset
        stop = _STOP.search(self.text, self.lexer.token(self.current.end).offset)
        assert stop is not None
        end = stop.start()
        closing = self.text.find(")", start, end)
        end = closing if closing >= 0 else end
        words = self.text[start:end].strip()
        plain = re.findall(r"[^\W\d_]{2,}", words)
        said = [word for word in plain if word not in _GRAMMAR]
        if _WORDS.fullmatch(words) is None or len(plain) < 2 or not said:
            raise self.error("this is neither a condition nor words")
        if len(plain) > _MAX_WORDS:
            raise self.error("this is neither a condition nor words")
        if words.split()[0] == "in" and len(plain) < 3:
            raise self.error("what is in what is not clear")
        if words.startswith("with ") and "probability" in plain:
            raise self.error("what holds with a probability does not hold always")
        if vague := next((word for word in plain if word.lower() in _VAGUE), None):
            raise self.error(f"'{vague}' makes the condition something else")
        self._jump(end)
        return Words(" ".join(words.split()), offset=start)

    def _assembled(self, claim: Expr, guards: _Guards) -> Expr:
        """Return the claim below its conditions below its quantifiers."""
        outer = [bound for bound, _ in guards.binders]
        whole = claim
        for number, (word, condition) in enumerate(guards.conditions, start=1):
            # "J = 0 when x_i = m_i for all i" quantifies the condition alone.
            later = [bound for bound, before in guards.binders if before == number]
            own = [b for b in later if occurs(b[0], condition) and not occurs(b[0], whole)]
            if any(occurs(b[0], condition) for b in later if b not in own):
                raise self.error("whether this quantifies the claim or its condition is not clear")
            outer = [bound for bound in outer if bound not in own]
            for variable, over, nouns in reversed(own):
                condition = quantified("forall", variable, over, nouns, condition)
            if word == "where":
                claim = Restrict(claim, condition, offset=condition.offset)
            else:
                claim = Logic("implies", (condition, claim), offset=condition.offset)
        for bound in reversed(outer):
            claim = self._for_all_of(bound, claim)
        return claim

    def _for_all_of(self, bound: Bound, claim: Expr) -> Expr:
        """Quantify a claim, or that side of it which alone has the variable."""
        variable, over, nouns = bound
        if isinstance(claim, Logic) and claim.operator in ("iff", "implies") and not over:
            left, right = claim.operands
            first, second = occurs(variable, left), occurs(variable, right)
            plain = not isinstance(left, Words)
            if claim.operator == "iff" and second and not first:
                right = quantified("forall", variable, over, nouns, right)
                return Logic("iff", (left, right), offset=claim.offset)
            if first and not second and plain and claim.offset < self.bound_from:
                raise self.error("whether this quantifies the whole claim is not clear")
        return quantified("forall", variable, over, nouns, claim)


def _letter(name: str) -> bool:
    return len(name) == 1 or (len(name) == 2 and not name[1].isascii())
