"""Operators of existing contract files: ``^``, ``AND``, ``∪``, products of matrices, chains.

A rule that may not fit is attempted: where it fails, nothing has been read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.precedence import BIT_OR, COMPARISON, OR, POWER, PRODUCT, SUM
from pytest_contracts.formula.reading.lexer import Token
from pytest_contracts.formula.reading.wild.checks import is_claim
from pytest_contracts.formula.reading.wild.operands import WildOperands
from pytest_contracts.formula.reading.wild.words import guard_word
from pytest_contracts.formula.tree import (
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Quantifier,
    Unary,
)

_T = TypeVar("_T")

_SCALARS = frozenset(
    ("alpha", "beta", "gamma", "delta", "eps", "eta", "theta", "mu", "sigma", "tau", "scale")
) | frozenset("αβγδεηθλμστabcsnmd")
_SETS = {"∪": "union", "∩": "intersection"}


class WildOperators(WildOperands):
    """Parses what stands between operands, and lists of claims."""

    def joined(self) -> Expr:
        """Parse claims joined by commas."""
        offset = self.current.offset
        parts = [self.expression()]
        while self.lists and self.at(","):
            self.advance()
            parts.append(self.expression())
        if len(parts) == 1:
            return parts[0]
        if any(isinstance(part, Logic) and part.operator in ("implies", "iff") for part in parts):
            raise self.error("a comma beside an implication is ambiguous")
        if not all(is_claim(part) for part in parts):
            raise self.error("a list of values claims nothing")
        return Logic("and", tuple(parts), offset=offset)

    def infix(self, left: Expr, minimum: int) -> Expr | None:
        """Extend ``left`` by one operator, those of existing files included."""
        token = self.current
        if token.kind == "name":
            return self._beside(left, token, minimum)
        if isinstance(left, Compare | Logic | Quantifier) and self.at("in", "not in"):
            return None
        match token.text if token.kind == "operator" else "":
            case "^" if minimum <= POWER:
                return self.power(left)
            case "^":
                return None
            case "∪" | "∩" as sign if minimum <= SUM:
                self.advance()
                pair = (left, self.expression(SUM + 1))
                return Call(_SETS[sign], pair, offset=token.offset)
            case "⊆" | "⊇" as sign if minimum <= COMPARISON:
                self.advance()
                right = self.expression(BIT_OR)
                pair = (left, right) if sign == "⊆" else (right, left)
                return Call("subset", pair, offset=token.offset)
            case "xor" if minimum <= OR:
                self.advance()
                both = Logic("iff", (left, self.expression(OR + 1)), offset=token.offset)
                return Unary("not", both, offset=token.offset)
            case "if" if not re.search(r"\belse\b", self.text[token.end :]):
                return None
        extended = super().infix(left, minimum)
        if isinstance(extended, Binary) and extended.operator == "*":
            return self._matrix_product(extended)
        if isinstance(extended, Logic) and extended.operator == "implies":
            inner = extended.operands[1]
            chained = isinstance(inner, Logic) and inner.operator == "implies"
            if chained and inner is not self.grouped:
                raise self.error("a chain of implications may be nested or joined", token)
        return extended

    def _matrix_product(self, product: Binary) -> Expr:
        """Read ``Aᵀ * B`` as a product of matrices; a number times a matrix stays as it is."""
        left, right = product.left, product.right
        if not _is_matrix(left) and not _is_matrix(right):
            return product
        other = left if _is_matrix(right) else right
        if isinstance(other, Number):
            return product
        scalar = isinstance(other, Name) and other.id in _SCALARS
        lone = not _is_matrix(left) and not (isinstance(left, Name) and left.id[0].isupper())
        if scalar or lone:
            raise self.error("a product of matrices or with a number?")
        return Binary("@", left, right, offset=product.offset)

    def _beside(self, left: Expr, token: Token, minimum: int) -> Expr | None:
        """Read what stands beside an operand without an operator, where it has one meaning."""
        if token.text == "finite" and isinstance(left, Name) and minimum <= COMPARISON:
            self.advance()
            self.expect_boundary("and", "or", "implies", "iff")
            return Call("finite", (left,), offset=left.offset)
        factor = self.text[token.offset - 1 : token.offset].isdigit() and not token.spaced
        if factor and minimum <= PRODUCT:
            right = self.expression(PRODUCT + 1)
            return Binary("*", left, right, offset=token.offset)
        if _is_matrix(left) and minimum <= PRODUCT and self._is_factor(token):
            return Binary("@", left, self.expression(PRODUCT + 1), offset=token.offset)
        return None

    def _is_factor(self, token: Token) -> bool:
        """Tell a factor right of ``Aᵀ`` from a word of prose."""
        following = self.lexer.token(token.end)
        known = len(re.findall(rf"\b{re.escape(token.text)}\b", self.text)) > 1
        formal = len(token.text) <= 2 or "_" in token.text or known
        return formal and following.kind in ("end", "operator")

    def comparison(self, first: Expr) -> Expr:
        """Parse a chain of comparisons; a later ``in`` begins a guard."""
        offset = self.current.offset
        rest: list[tuple[str, Expr]] = []
        while self.at("<", "<=", ">", ">=", "==", "!=", "approx", "in", "not in"):
            if rest and self.at("in", "not in"):
                break
            operator = self.advance().text
            member = operator in ("in", "not in")
            spoken = member and self.text[: self.current.offset].rstrip().endswith("in")
            right = self.membership() if member else self.expression(BIT_OR)
            if spoken and _is_word(first) and isinstance(right, Name):
                raise self.error("words, or a member of a set?")
            if self.at(".."):
                raise self.error("whether a..b includes b is not clear")
            rest.append((operator, right))
            if member:
                if self.at("<", "<=", ">", ">=", "==", "!=", "approx"):
                    raise self.error("a membership ends a chain of comparisons")
                break
        if not rest:
            raise self.error(f"unexpected {self.found()}")
        return Compare(first, tuple(rest), offset=offset)  # type: ignore[arg-type]

    def range_or_value(self) -> Expr:
        """Parse a set by its name; ``a..b`` is refused."""
        start = self.expression(BIT_OR)
        if self.at(".."):
            raise self.error("whether a..b includes b is not clear")
        return start

    def attempt(self, rule: Callable[[], _T]) -> _T | None:
        """Return what a rule parses, None (and nothing read) where it does not fit."""
        state = self.save()
        try:
            return rule()
        except FormulaError:
            self.restore(state)
            return None

    def save(self) -> tuple[object, ...]:
        """Return the place in the text, for ``restore``."""
        return self.current, self.nesting, self.in_bars, self.grouped, self.lists

    def restore(self, state: tuple[object, ...]) -> None:
        """Go back to a place."""
        self.current, self.nesting, self.in_bars, self.grouped, self.lists = state  # type: ignore[assignment]

    def jump(self, position: int) -> None:
        """Go on at a position of the text."""
        self.current = self.lexer.token(position)

    def expect_boundary(self, *also: str) -> None:
        """Expect the end of a part: of the text, of a group, or the beginning of a guard."""
        token = self.current
        done = token.kind == "end" or self.at(")", ":", ",", "—", *also)
        if not done and guard_word(self) is None and not self.at("("):
            raise self.error(f"unexpected {self.found()}")


def _is_word(node: Expr) -> bool:
    return isinstance(node, Name) and node.id.isalpha() and len(node.id) > 3


def _is_matrix(node: Expr) -> bool:
    """Tell whether a factor is a matrix for certain: transposed, or a product of matrices."""
    if isinstance(node, Call):
        return node.function == "T"
    return isinstance(node, Binary) and node.operator == "@"
