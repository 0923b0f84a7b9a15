"""Symbolic shapes: lengths that are numbers or names, and whether two shapes fit together."""

from __future__ import annotations

from typing import TypeAlias

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.tree import Expr

Length: TypeAlias = int | str | None
"""A number, a name or an expression as text, None where it is not known."""
Shape: TypeAlias = tuple[Length, ...] | None
"""A value's lengths, None where not even their number is known."""


def fitting(first: Shape, second: Shape, node: Expr) -> Shape:
    """Return the common shape of two operands.

    Raises:
        FormulaError: there is none.
    """
    if first is None or second is None:
        return None
    rank = max(len(first), len(second))
    a: tuple[Length, ...] = (1,) * (rank - len(first)) + first
    b: tuple[Length, ...] = (1,) * (rank - len(second)) + second
    result: list[Length] = []
    for one, other in zip(a, b, strict=True):
        if one == 1 or other == 1:
            result.append(other if one == 1 else one)
        elif differ(one, other):
            raise misfit(first, second, node)
        else:
            result.append(one if one == other else None)
    return tuple(result)


def differ(one: Length, other: Length) -> bool:
    """Tell whether two lengths differ for certain."""
    if one is None or other is None:
        return False
    # A number may be the value of a symbol, and an expression may equal another.
    symbols = [isinstance(length, str) and length.isidentifier() for length in (one, other)]
    if all(symbols) or (isinstance(one, int) and isinstance(other, int)):
        return one != other
    return False


def misfit(first: tuple[Length, ...], second: tuple[Length, ...], node: Expr) -> FormulaError:
    """Return the error of two shapes that have no common one."""
    message = f"shapes {shape_text(first)} and {shape_text(second)} do not fit together"
    return FormulaError(message, offset=node.offset)


def shape_text(shape: tuple[Length, ...]) -> str:
    """Return a shape as messages show it."""
    return f"[{', '.join('?' if length is None else str(length) for length in shape)}]"
