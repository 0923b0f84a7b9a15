"""A quantifier in front of a claim: ``∀ x, y ∈ D: P``, ``for every p valid with c: P``."""

from __future__ import annotations

import re
from typing import Literal

from pytest_contracts.formula.reading.wild.indices import Bound, Kind, occurs, quantified
from pytest_contracts.formula.reading.wild.operators import WildOperators
from pytest_contracts.formula.tree import Expr, Interval, Logic, Name, Words

_WORDS_ONLY = re.compile(r"[A-Za-z][A-Za-z \-]+ [A-Za-z][A-Za-z\-]+")


class Front:
    """Reads a quantifier in front from where its parser stands."""

    def __init__(self, parser: WildOperators) -> None:
        self.parser = parser

    def read(self, kind: Kind, offset: int) -> Expr:
        """Return the claim below its quantifier, whose word is read already."""
        header_end = self.parser.text.find(":", self.parser.current.offset)
        if header_end < 0:
            raise self.parser.error("a quantifier in front ends with ':'")
        header = " ".join(self.parser.text[self.parser.current.offset : header_end].split())
        found = self.parser.attempt(self._header)
        if found is None:
            if kind == "exists" or _WORDS_ONLY.fullmatch(header) is None:
                raise self.parser.error("what this holds for is not clear")
            self.parser.jump(header_end)
        self.parser.expect(":")
        body = self.parser.claim()
        if found is None:
            return Logic("implies", (Words(f"for all {header}"), body), offset=offset)
        variables, condition = found
        for variable, _, nouns in variables:
            if not occurs(variable, body):
                if nouns and kind == "forall":
                    return Logic("implies", (Words(f"for all {header}"), body), offset=offset)
                raise self.parser.error(f"'{variable}' does not occur in the claim")
        if condition is not None:
            operator: Literal["and", "implies"] = "implies" if kind == "forall" else "and"
            body = Logic(operator, (condition, body), offset=offset)
        for variable, over, nouns in reversed(variables):
            body = quantified(kind, variable, over, nouns, body)
        return body

    def _header(self) -> tuple[list[Bound], Expr | None]:
        """Parse the variables of a quantifier in front, what they are, and a condition."""
        variables: list[Bound] = []
        group = [self.parser.identifier("a variable").text]
        condition: Expr | None = None
        while True:
            if self.parser.accept("in"):
                over = self.parser.membership()
                if isinstance(over, Interval):
                    raise self.parser.error("a quantifier in front ranges over a set")
                variables += [(name, over, "") for name in group]
                group = []
            elif self.parser.at("<", "<=", ">", ">=", "!="):
                if len(group) > 1 or variables:
                    raise self.parser.error("whether this bounds every variable is not clear")
                condition = self.parser.comparison(Name(group[0]))
            elif self.parser.current.kind == "name" and not self.parser.at_word("with"):
                nouns = re.compile(r"[A-Za-z][A-Za-z \-]*?(?=\s+with\s|\s*:)").match(
                    self.parser.text, self.parser.current.offset
                )
                if nouns is None or len(group) > 1:
                    raise self.parser.error("which variable this describes is not clear")
                variables.append((group[0], None, " ".join(nouns.group().split())))
                group = []
                self.parser.jump(nouns.end())
            if not self.parser.accept(","):
                break
            group.append(self.parser.identifier("a variable").text)
        variables += [(name, None, "") for name in group]
        if self.parser.at_word("with"):
            self.parser.advance()
            condition = self.parser.expression()
        if not self.parser.at(":"):
            raise self.parser.error("expected ':' after the quantifier")
        return variables, condition
