"""Claims and expressions: a precedence-climbing parser for the grammar of the contract language.

From loosest to tightest: guards (``when``, ``where``, ``for all``), ``iff``, ``implies``,
``if``/``else``, ``or``, ``and``, ``not``, comparisons, ``|``, ``&``, shifts, sums, products, sign,
power, and what follows an operand (call, index, ``²``, ``ᵀ``). Ranges ``a..b`` exclude ``b``.
"""

from __future__ import annotations

from typing import Literal

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.operators import ARITHMETIC, COMPARISONS
from pytest_contracts.formula.precedence import (
    AND,
    BIT_OR,
    COMPARISON,
    IF,
    IFF,
    IMPLIES,
    NOT,
    OR,
    POWER,
    SIGN,
)
from pytest_contracts.formula.reading.binders import (
    bind_subscripts,
    implied_domain,
)
from pytest_contracts.formula.reading.lexer import Token
from pytest_contracts.formula.reading.operands import Operands
from pytest_contracts.formula.reading.remarks import not_a_remark
from pytest_contracts.formula.tree import (
    Binary,
    Compare,
    Conditional,
    Expr,
    Logic,
    Quantifier,
    Restrict,
    Unary,
    names,
)

_LEFT_ASSOCIATIVE = {row.symbol: row.strength for row in ARITHMETIC.values() if row.symbol != "**"}


class Parser(Operands):
    """Parses claims and expressions of the strict notation."""

    def claim(self) -> Expr:
        """Parse a claim with its guards."""
        node = self.expression()
        while True:
            offset = self.current.offset
            if self.accept("when"):
                node = Logic("implies", (self.expression(), node), offset=offset)
            elif self.at_word("where"):
                self.advance()
                node = Restrict(node, self.expression(), offset=offset)
            elif self.at("for"):
                node = self._for_all(node)
            else:
                return node

    def _for_all(self, claim: Expr) -> Expr:
        offset = self.expect("for").offset
        if not self.at_word("all"):
            raise self.error(f"expected 'for all', found 'for' and {self.found()}")
        self.advance()
        variables = [self.identifier("a variable")]
        while self.accept(","):
            variables.append(self.identifier("a variable"))
        domain = self.domain() if self.accept("in") else None
        for variable in reversed(variables):
            claim = bind_subscripts(claim, variable.text)
            if variable.text not in names(claim):
                raise self.error(f"'{variable.text}' does not occur in the claim", variable)
            over = domain or implied_domain(claim, variable.text)
            # Without an index to range over, the variable is an input: the claim is made for
            # every input anyway.
            if over is not None:
                claim = Quantifier("forall", variable.text, over, claim, offset=offset)
        return claim

    def quantifier(self) -> Expr:
        """Parse a quantifier and what it speaks of."""
        token = self.advance()
        variables: list[tuple[Token, Expr | None]] = []
        while True:
            group = [self.identifier("a variable")]
            while self.accept(","):
                group.append(self.identifier("a variable"))
            domain = self.domain() if self.accept("in") else None
            variables += [(variable, domain) for variable in group]
            if not self.accept(","):
                break
        self.expect(":")
        with_bars, self.in_bars = self.in_bars, False
        body = self.claim()
        self.in_bars = with_bars
        kind: Literal["forall", "exists"] = "forall" if token.text == "forall" else "exists"
        for variable, domain in reversed(variables):
            body = bind_subscripts(body, variable.text)
            over = domain or implied_domain(body, variable.text)
            if over is None:
                raise self.error(
                    f"'{variable.text}' has no range",
                    variable,
                    f"write '{kind} {variable.text} in range(n): …'",
                )
            body = Quantifier(kind, variable.text, over, body, offset=token.offset)
        return body

    def expression(self, minimum: int = IFF) -> Expr:
        """Parse an expression whose operators bind at least as tightly as ``minimum``."""
        self.deeper()
        node = self.prefix()
        while True:
            extended = self.infix(node, minimum)
            if extended is None:
                break
            node = extended
        self.nesting -= 1
        return node

    def infix(self, left: Expr, minimum: int) -> Expr | None:
        """Extend ``left`` by one operator, or return None when the next token does not bind."""
        token = self.current
        if token.kind != "operator" or (token.text == "|" and self.in_bars):
            return None
        operator = token.text
        power = _LEFT_ASSOCIATIVE.get(operator)
        if power is not None and power >= minimum:
            self.advance()
            right = self.expression(power + 1)
            return Binary(operator, left, right, offset=token.offset)  # type: ignore[arg-type]
        if operator == "**" and minimum <= POWER:
            self.advance()
            return Binary("**", left, self.expression(SIGN), offset=token.offset)
        if (operator in COMPARISONS or operator == "not") and minimum <= COMPARISON:
            return self.comparison(left)
        if operator in ("and", "or") and minimum <= (AND if operator == "and" else OR):
            return self.junction(left, token)
        looser = {"implies": IMPLIES, "iff": IFF}.get(operator, 0)
        if minimum <= looser:
            self.advance()
            sides = (left, self.expression(looser))
            return Logic(operator, sides, offset=token.offset)  # type: ignore[arg-type]
        if operator == "if" and minimum <= IF:
            self.advance()
            condition = self.expression(OR)
            self.expect("else")
            return Conditional(condition, left, self.expression(IF), offset=token.offset)
        return None

    def comparison(self, first: Expr) -> Expr:
        """Parse a chain of comparisons."""
        offset = self.current.offset
        rest = []
        while self.at(*COMPARISONS, "not"):
            operator = self.advance().text
            if operator == "not":
                self.expect("in")
                operator = "not in"
            member = operator in ("in", "not in")
            rest.append((operator, self.membership() if member else self.expression(BIT_OR)))
            if member and self.at(*COMPARISONS, "not"):
                # A set is no number to go on with.
                hint = "write a ∈ S ∧ a < b: one comparison for each"
                raise self.error("a membership ends a chain of comparisons", None, hint)
        return Compare(first, tuple(rest), offset=offset)  # type: ignore[arg-type]

    def junction(self, left: Expr, token: Token) -> Expr:
        """Parse what "and" or "or" joins."""
        operands = [left]
        while self.accept(token.text):
            operands.append(self.expression(NOT if token.text == "and" else AND))
        return Logic(token.text, tuple(operands), offset=token.offset)  # type: ignore[arg-type]

    def prefix(self) -> Expr:
        """Parse a sign, a quantifier, a big operator, or an operand."""
        token = self.current
        if token.kind == "operator":
            if token.text == "-":
                self.advance()
                return Unary("-", self.expression(SIGN), offset=token.offset)
            if token.text == "+":
                self.advance()
                return self.expression(SIGN)
            if token.text == "not":
                self.advance()
                return Unary("not", self.expression(NOT), offset=token.offset)
            if token.text in ("forall", "exists"):
                return self.quantifier()
            if token.text in ("Σ", "Π"):
                return self.big_operator()
        return self.followed(self.operand())

    def finish(self) -> None:
        """Accept the end of the text, or a trailing remark in parentheses."""
        if self.current.kind == "end":
            return
        offset = self.current.offset
        remark = self.text[offset:].rstrip()
        hint = None
        if self.at("(") and self.current.spaced and _is_one_group(remark):
            hint = not_a_remark(remark, self.text[:offset], self._is_formula(remark))
            if hint is None:
                return
        raise self.error(f"unexpected {self.found()} after the formula", None, hint)

    def _is_formula(self, text: str) -> bool:
        parser = type(self)(text)
        try:
            parser.claim()
        except FormulaError:
            return False
        return parser.current.kind == "end"


def _is_one_group(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return position == len(text) - 1
    return False
