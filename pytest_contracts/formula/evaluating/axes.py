"""What a loop over an axis ranges over: every array that its variable indexes has that length.

A result that lacks an element would otherwise decide, by its own length, what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.reading.binders import length_of
from pytest_contracts.formula.tree import (
    Call,
    Conditional,
    Dots,
    Each,
    Expr,
    Index,
    Logic,
    Name,
    Quantifier,
    Restrict,
    binder,
    children,
    names,
)
from pytest_contracts.formula.values import Undefined
from pytest_contracts.formula.writing.unicode import render_unicode

Axis = tuple[Expr, int]


def agree(run: Evaluation, node: Each | Quantifier) -> None:
    """See to it that the arrays over whose axis a loop ranges agree on its length.

    Only where the loop ranges over an axis of one of them: a range that is written, ``0..n``, is
    the author's own, and so is a guard that mentions the variable.

    Raises:
        Undefined: they do not.
    """
    axes = run.axes.get(id(node))
    if axes is None:
        axes = run.axes[id(node)] = _axes(node)
    lengths = [(base, _length(run, base, axis)) for base, axis in axes]
    known = [(base, length) for base, length in lengths if length is not None]
    for base, length in known[1:]:
        if length != known[0][1]:
            first = f"{known[0][1]} of {render_unicode(known[0][0])}"
            other = f"{length} of {render_unicode(base)}"
            raise Undefined(f"{node.variable} ranges over {first} and {other}")


def _axes(node: Each | Quantifier) -> tuple[Axis, ...]:
    """Return the axes that a loop's variable indexes, none where it ranges over none of them."""
    found = tuple(dict.fromkeys(_indexed(node.body, node.variable, frozenset())))
    over = any(node.domain == Call("range", (length_of(base, axis),)) for base, axis in found)
    return found if over and len(found) > 1 else ()


def _indexed(node: Expr, variable: str, bound: frozenset[str]) -> Iterator[Axis]:
    """Yield each array that the bare variable indexes, unguarded, and the position of the axis."""
    if _guards(node, variable):
        return
    if isinstance(node, Index) and not names(node.base) & {variable, *bound}:
        for position, item in enumerate(node.items):
            if item == Name(variable):
                dots = any(isinstance(other, Dots) for other in node.items[:position])
                yield node.base, position - len(node.items) if dots else position
    scope = binder(node)
    if scope is not None:
        if variable in scope[0]:
            return
        bound = bound | set(scope[0])
    for child in children(node):
        yield from _indexed(child, variable, bound)


def _guards(node: Expr, variable: str) -> bool:
    """Tell whether a condition on the variable decides what is looked at."""
    if isinstance(node, Logic) and node.operator in ("implies", "or"):
        return variable in names(node.operands[0])
    if isinstance(node, Restrict):
        return variable in names(node.mask)
    return isinstance(node, Conditional) and variable in names(node.condition)


def _length(run: Evaluation, base: Expr, axis: int) -> int | None:
    shape = np.shape(run.value(base))
    return shape[axis] if -len(shape) <= axis < len(shape) else None
