"""The operators, one row each: how tightly they bind, how they are read, how they are written.

What they do with values stands in ``arithmetic`` and ``evaluating.truths``, by the same symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_contracts.formula.precedence import (
    AND,
    BIT_AND,
    BIT_OR,
    COMPARISON,
    IFF,
    IMPLIES,
    OR,
    POWER,
    PRODUCT,
    SHIFT,
    SUM,
)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator between two operands.

    ``symbol`` stands in the tree and in ASCII, ``written`` is its sign in Unicode, ``also`` are
    other characters that are read as it. In LaTeX what has no sign of its own is not written in
    one line: a fraction, a power.
    """

    symbol: str
    strength: int
    written: str
    latex: str = ""
    also: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        """The characters, other than the symbol's own, that are read as this operator."""
        signs = (self.written, *self.also)
        return tuple(sign for sign in signs if len(sign) == 1 and sign != self.symbol)


def _by_symbol(*operators: Operator) -> Mapping[str, Operator]:
    return MappingProxyType({operator.symbol: operator for operator in operators})


ARITHMETIC = _by_symbol(
    Operator("|", BIT_OR, "|", r"\mathbin{|}"),
    Operator("&", BIT_AND, "&", r"\mathbin{\&}"),
    Operator("<<", SHIFT, "<<", r"\ll"),
    Operator(">>", SHIFT, ">>", r"\gg"),
    Operator("+", SUM, "+", "+"),
    Operator("-", SUM, "−", "-"),
    Operator("*", PRODUCT, "·", r"\cdot", also="⋅×"),
    Operator("/", PRODUCT, "/", also="÷"),
    Operator("//", PRODUCT, "//"),
    Operator("%", PRODUCT, "%", r"\bmod"),
    Operator("@", PRODUCT, "@", r"\,"),
    Operator("**", POWER, "**"),
)
COMPARISONS = _by_symbol(
    Operator("<", COMPARISON, "<", "<"),
    Operator("<=", COMPARISON, "≤", r"\le"),
    Operator(">", COMPARISON, ">", ">"),
    Operator(">=", COMPARISON, "≥", r"\ge"),
    Operator("==", COMPARISON, "=", "="),
    Operator("!=", COMPARISON, "≠", r"\ne"),
    Operator("approx", COMPARISON, "≈", r"\approx"),
    Operator("in", COMPARISON, "∈", r"\in"),
    Operator("not in", COMPARISON, "∉", r"\notin"),
)
CONNECTIVES = _by_symbol(
    Operator("and", AND, "∧", r"\land"),
    Operator("or", OR, "∨", r"\lor"),
    Operator("implies", IMPLIES, "⟹", r"\implies"),
    Operator("iff", IFF, "⟺", r"\iff"),
)
OPERATORS = (*ARITHMETIC.values(), *COMPARISONS.values(), *CONNECTIVES.values())
