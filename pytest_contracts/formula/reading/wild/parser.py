"""A whole formula of an existing contract file: a claim with what stands before and behind it."""

from __future__ import annotations

import re

from pytest_contracts.formula.reading.wild.front import Front
from pytest_contracts.formula.reading.wild.guards import Guards
from pytest_contracts.formula.reading.wild.operators import WildOperators
from pytest_contracts.formula.reading.wild.remarks import closing_remark
from pytest_contracts.formula.tree import Expr


class WildParser(WildOperators):
    """Parses a whole formula."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.front = Front(self)
        self.guards = Guards(self)
        self.remark = ""

    def whole(self) -> Expr:
        """Parse a claim, its guards and a remark."""
        node = self.claim()
        self.remark = closing_remark(self)
        return node

    def claim(self) -> Expr:
        """Parse a claim with its guards; at the top, commas join several."""
        return self.guards.behind(self.joined())

    def prefix(self) -> Expr:
        """Parse a sign, a quantifier in signs or words, or an operand."""
        match = re.compile(r"for\s+(?:all|every|each)\s").match(self.text, self.current.offset)
        if match is not None and self.at("for"):
            self.jump(match.end())
            return self.front.read("forall", match.start())
        return super().prefix()

    def quantifier(self) -> Expr:
        """Parse ``∀ x, y ∈ D: P`` and ``forall p valid with c: P``."""
        token = self.advance()
        return self.front.read("forall" if token.text == "forall" else "exists", token.offset)
