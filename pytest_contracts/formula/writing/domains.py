"""Ranges as domains of bound variables, which both notations write as two bounds."""

from __future__ import annotations

from pytest_contracts.formula.tree import Call, Expr, Number


def bounds_of(domain: Expr) -> tuple[Expr, Expr] | None:
    """Return the bounds of a range without a step, the second excluded; None for what is none."""
    match domain:
        case Call(function="range", arguments=(stop,), keywords=()):
            return Number(0), stop
        case Call(function="range", arguments=(start, stop), keywords=()):
            return start, stop
    return None
