"""A whole formula of an existing contract file: quantifiers in front, a remark behind."""

from __future__ import annotations

import re
from typing import Literal

from pytest_contracts.formula.reading.wild.guards import WildGuards
from pytest_contracts.formula.reading.wild.indices import Bound, Kind, occurs, quantified
from pytest_contracts.formula.tree import Expr, Interval, Logic, Name, Words

_WORDS_ONLY = re.compile(r"[A-Za-z][A-Za-z \-]+ [A-Za-z][A-Za-z\-]+")


class WildParser(WildGuards):
    """Parses a whole formula."""

    remark = ""

    def whole(self) -> Expr:
        """Parse a claim, its guards and a remark."""
        node = self.claim()
        self.closing_remark(node)
        return node

    def closing_remark(self, node: Expr) -> None:
        """Accept the end of the text, or a remark after a dash or in parentheses."""
        rest = self.text[self.current.offset :].strip()
        if self.current.kind == "end":
            return
        if self.at("—"):
            remark = rest[1:].strip()
            if re.search(r"[^\W\d]{3,}\s+[^\W\d]{2,}", remark):
                self.remark = remark
                return
        elif self.at("(") and self.current.spaced and re.fullmatch(r"\([^()]*\)", rest):
            remark = rest[1:-1].strip()
            if re.fullmatch(r"[A-Za-z][\w\s,.+\-]*", remark) and self._explains(remark, node):
                self.remark = remark
                return
        raise self.error(f"unexpected {self.found()} after the formula")

    def _explains(self, remark: str, node: Expr) -> bool:
        """Tell a remark from the argument of a function written with a space, ``f (x)``."""
        before = re.search(r"(\w+)\s*$", self.text[: self.current.offset])
        if before is None or before.group(1).isdigit() or " " in remark:
            return len(remark) > 2
        used = re.findall(rf"\b{re.escape(before.group(1))}\b", self.text)
        return len(used) > 1 and len(remark) > 2

    def prefix(self) -> Expr:
        """Parse a sign, a quantifier in signs or words, or an operand."""
        match = re.compile(r"for\s+(?:all|every|each)\s").match(self.text, self.current.offset)
        if match is not None and self.at("for"):
            self._jump(match.end())
            return self._leading("forall", match.start())
        return super().prefix()

    def quantifier(self) -> Expr:
        """Parse ``∀ x, y ∈ D: P`` and ``forall p valid with c: P``."""
        token = self.advance()
        return self._leading("forall" if token.text == "forall" else "exists", token.offset)

    def _leading(self, kind: Kind, offset: int) -> Expr:
        header_end = self.text.find(":", self.current.offset)
        if header_end < 0:
            raise self.error("a quantifier in front ends with ':'")
        header = " ".join(self.text[self.current.offset : header_end].split())
        found = self.attempt(self._header)
        if found is None:
            if kind == "exists" or _WORDS_ONLY.fullmatch(header) is None:
                raise self.error("what this holds for is not clear")
            self._jump(header_end)
        self.expect(":")
        body = self.claim()
        if found is None:
            return Logic("implies", (Words(f"for all {header}"), body), offset=offset)
        variables, condition = found
        for variable, _, nouns in variables:
            if not occurs(variable, body):
                if nouns and kind == "forall":
                    return Logic("implies", (Words(f"for all {header}"), body), offset=offset)
                raise self.error(f"'{variable}' does not occur in the claim")
        if condition is not None:
            operator: Literal["and", "implies"] = "implies" if kind == "forall" else "and"
            body = Logic(operator, (condition, body), offset=offset)
        for variable, over, nouns in reversed(variables):
            body = quantified(kind, variable, over, nouns, body)
        return body

    def _header(self) -> tuple[list[Bound], Expr | None]:
        """Parse the variables of a quantifier in front, what they are, and a condition."""
        variables: list[Bound] = []
        group = [self.identifier("a variable").text]
        condition: Expr | None = None
        while True:
            if self.accept("in"):
                over = self.membership()
                if isinstance(over, Interval):
                    raise self.error("a quantifier in front ranges over a set")
                variables += [(name, over, "") for name in group]
                group = []
            elif self.at("<", "<=", ">", ">=", "!="):
                if len(group) > 1 or variables:
                    raise self.error("whether this bounds every variable is not clear")
                condition = self.comparison(Name(group[0]))
            elif self.current.kind == "name" and not self.at_word("with"):
                nouns = re.compile(r"[A-Za-z][A-Za-z \-]*?(?=\s+with\s|\s*:)").match(
                    self.text, self.current.offset
                )
                if nouns is None or len(group) > 1:
                    raise self.error("which variable this describes is not clear")
                variables.append((group[0], None, " ".join(nouns.group().split())))
                group = []
                self._jump(nouns.end())
            if not self.accept(","):
                break
            group.append(self.identifier("a variable").text)
        variables += [(name, None, "") for name in group]
        if self.at_word("with"):
            self.advance()
            condition = self.expression()
        if not self.at(":"):
            raise self.error("expected ':' after the quantifier")
        return variables, condition
