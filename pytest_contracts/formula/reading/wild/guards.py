"""Guards behind a claim: ``when``, ``for all i``, ``per channel c``, ``within 4 ULP``.

A condition that is not a formula stays in the tree as ``Words``: neither dropped nor guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_contracts.formula.reading.wild.checks import is_claim
from pytest_contracts.formula.reading.wild.indices import Bound, occurs, quantified
from pytest_contracts.formula.reading.wild.operators import WildOperators
from pytest_contracts.formula.reading.wild.words import CONDITIONS, guard_word
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
class _Found:
    """What follows a claim: conditions and binders, each as far out as it was written."""

    conditions: list[tuple[str, Expr]] = field(default_factory=list)
    binders: list[tuple[Bound, int]] = field(default_factory=list)
    """Each with the number of conditions that stand before it."""


class Guards:
    """Reads the guards behind a claim from where its parser stands."""

    def __init__(self, parser: WildOperators) -> None:
        self.parser = parser
        self.tolerance: float | None = None
        self.in_ulp = False
        self._listed = False
        """Whether a condition before this one is a list of conditions."""
        self._begin = 0
        """Where the guards begin: an implication left of it was written as one."""

    def behind(self, node: Expr) -> Expr:
        """Return a claim with the guards that follow it."""
        guards = _Found()
        self._begin = self.parser.current.offset
        while (word := guard_word(self.parser)) is not None:
            if self._listed and word in ("for", "when", "if") and not self._names_all():
                raise self.parser.error("a condition after several conditions is ambiguous")
            if word == "within":
                node = self._within(node)
            elif not self._each(node, guards):
                self._condition(word, guards)
        return self._assembled(node, guards)

    def _names_all(self) -> bool:
        return _EACH.match(self.parser.text, self.parser.current.offset) is not None

    def _within(self, node: Expr) -> Expr:
        """Read ``a = b within tolerance`` as ``a ≈ b``."""
        match = _WITHIN.match(self.parser.text, self.parser.current.offset)
        if match is None or not isinstance(node, Compare) or len(node.rest) != 1:
            raise self.parser.error("what lies within what is not clear")
        if node.rest[0][0] != "==":
            raise self.parser.error("only an equality holds within a tolerance")
        self.tolerance = None if match.group(1) is None else float(match.group(1))
        self.in_ulp = match.group(2) is not None
        self.parser.jump(match.end())
        return Compare(node.first, (("approx", node.rest[0][1]),), offset=node.offset)

    def _each(self, claim: Expr, guards: _Found) -> bool:
        """Parse ``for all i``, ``per channel c``; False where it is a condition in words."""
        start = self.parser.save()
        sign = self.parser.at("forall")
        if sign:
            self.parser.advance()
        else:
            match = _EACH.match(self.parser.text, self.parser.current.offset)
            if match is None:
                return False
            self.parser.jump(match.end())
        mentioned = [claim, *(condition for _, condition in guards.conditions)]
        found = self.parser.attempt(lambda: self._variables(mentioned))
        found = found or self.parser.attempt(lambda: self._noun_variable(mentioned))
        if found is None:
            if sign:
                raise self.parser.error("what this holds for is not clear")
            self.parser.restore(start)
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
            token = self.parser.identifier("a variable")
            if not (_letter(token.text) or any(occurs(token.text, node) for node in mentioned)):
                raise self.parser.error(f"'{token.text}' does not occur in the claim", token)
            group.append(token.text)
            if self.parser.accept("in"):
                over = self.parser.membership()
                # "x, p in [0, 1)" says nothing of x, by the custom of these files.
                variables += [(name, None, "") for name in group[:-1]]
                variables.append(self._over(group[-1], over, conditions))
                group = []
            elif self.parser.at("<", "<=", ">", ">=", "!="):
                if len(group) > 1:
                    raise self.parser.error("whether this bounds every variable is not clear")
                conditions.append(
                    ("when", self.parser.comparison(Name(token.text, offset=token.offset)))
                )
            if not self.parser.accept(","):
                break
        variables += [(name, None, "") for name in group]
        self.parser.expect_boundary()
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
        match = _NOUN_VARIABLE.match(self.parser.text, self.parser.current.offset)
        while match is not None:
            nouns, variable = match.group(1).strip(), match.group(2)
            words = set(nouns.split())
            plain = not any(occurs(word, node) for word in words for node in mentioned)
            if plain and any(occurs(variable, node) for node in mentioned):
                self.parser.jump(match.end())
                self.parser.expect_boundary()
                return [(variable, None, nouns)], []
            match = _NOUN_VARIABLE.match(
                self.parser.text, self.parser.current.offset, match.start(2)
            )
        raise self.parser.error("no variable of the claim")

    def _condition(self, word: str, guards: _Found) -> None:
        """Parse a condition: a formula where it is one, else its words."""
        if word == "(":
            self.parser.advance()
            inner = guard_word(self.parser)
            assert inner is not None
            self.parser.lists = False
            if inner == "within" or self._each(Words(), guards):
                raise self.parser.error("a guard in parentheses that is not clear")
            self._condition(inner, guards)
            self.parser.lists = True
            self.parser.expect(")")
            return
        start = self.parser.save()
        if word in CONDITIONS:
            self.parser.advance()
            condition = self.parser.attempt(lambda: self._formula_condition(word))
            if condition is not None:
                guards.conditions.append((word, condition))
                return
            self.parser.restore(start)
        guards.conditions.append(("when", self._words()))

    def _formula_condition(self, word: str) -> Expr:
        finite = re.compile(r"finite\s+(\w+)").match(self.parser.text, self.parser.current.offset)
        if finite is not None:
            self.parser.jump(finite.start(1))
            condition: Expr = Call("finite", (self.parser.operand(),))
        else:
            with_lists, self.parser.lists = (
                self.parser.lists,
                self.parser.lists and word in ("for", "with"),
            )
            condition = self.parser.joined()
            self.parser.lists = with_lists
            # "P for x > 1 and Q for x < 0" would take Q for a condition of P.
            self._listed = isinstance(condition, Logic) and condition is not self.parser.grouped
        self.parser.expect_boundary()
        if not is_claim(condition):
            raise self.parser.error("a value is no condition")
        return condition

    def _words(self) -> Expr:
        """Parse a condition in words: no sign of a formula is among them."""
        start = self.parser.current.offset
        stop = _STOP.search(
            self.parser.text, self.parser.lexer.token(self.parser.current.end).offset
        )
        assert stop is not None
        end = stop.start()
        closing = self.parser.text.find(")", start, end)
        end = closing if closing >= 0 else end
        words = self.parser.text[start:end].strip()
        plain = re.findall(r"[^\W\d_]{2,}", words)
        said = [word for word in plain if word not in _GRAMMAR]
        if _WORDS.fullmatch(words) is None or len(plain) < 2 or not said:
            raise self.parser.error("this is neither a condition nor words")
        if len(plain) > _MAX_WORDS:
            raise self.parser.error("this is neither a condition nor words")
        if words.split()[0] == "in" and len(plain) < 3:
            raise self.parser.error("what is in what is not clear")
        if words.startswith("with ") and "probability" in plain:
            raise self.parser.error("what holds with a probability does not hold always")
        if vague := next((word for word in plain if word.lower() in _VAGUE), None):
            raise self.parser.error(f"'{vague}' makes the condition something else")
        self.parser.jump(end)
        return Words(" ".join(words.split()), offset=start)

    def _assembled(self, claim: Expr, guards: _Found) -> Expr:
        """Return the claim below its conditions below its quantifiers."""
        outer = [bound for bound, _ in guards.binders]
        whole = claim
        for number, (word, condition) in enumerate(guards.conditions, start=1):
            # "J = 0 when x_i = m_i for all i" quantifies the condition alone.
            later = [bound for bound, before in guards.binders if before == number]
            own = [b for b in later if occurs(b[0], condition) and not occurs(b[0], whole)]
            if any(occurs(b[0], condition) for b in later if b not in own):
                raise self.parser.error(
                    "whether this quantifies the claim or its condition is not clear"
                )
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
            if first and not second and plain and claim.offset < self._begin:
                raise self.parser.error("whether this quantifies the whole claim is not clear")
        return quantified("forall", variable, over, nouns, claim)


def _letter(name: str) -> bool:
    return len(name) == 1 or (len(name) == 2 and not name[1].isascii())
