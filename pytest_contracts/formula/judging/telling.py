"""Whether a comparison could have told a difference on these values.

``f(flip(x)) = f(x)`` says nothing of an x that reads the same backwards, nor ``f(x, y) = f(y, x)``
where x is y: both sides are one call. And one number has no order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from pytest_contracts.formula.compare import same
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.tree import Call, Expr, binder, children, names


def tells(run: Evaluation, left: Expr, right: Expr, value: Any) -> bool:
    """Tell whether the sides could have differed; ``value`` is that of the left one."""
    if _one_call(left, right):
        return False  # f(x) = f(x)
    if _is_order(left) and _is_order(right):
        return bool(np.size(value) > 1)
    calls = _twins(left, right)
    if not calls:
        return True
    first, *others = ([run.value(argument) for argument in c.arguments] for c in calls)
    return not all(all(map(_same, first, other)) for other in others)


@lru_cache  # a claim compares the same trees for each of its inputs
def _one_call(left: Expr, right: Expr) -> bool:
    return same(left, right) and any(True for _ in _results(left))


@lru_cache
def _twins(left: Expr, right: Expr) -> tuple[Call, ...]:
    """Return the calls of one function that differ in their arguments alone, none if there are not.

    Every call on either side must be of that function, of arguments that call none.
    """
    found = [*_results(left), *_results(right)]
    sides = [list(_results(side)) for side in (left, right)]
    if not all(sides) or len({call.function for call in found}) != 1:
        return ()
    if len({call.arguments for call in found}) < 2 or any(_bound(side) for side in (left, right)):
        return ()
    if len({names(call, calls=False) for call in found}) != 1:
        return ()  # x = y ⟹ f(x) = f(y) is about inputs that are equal
    if any(True for call in found for argument in call.arguments for _ in _results(argument)):
        return ()
    return tuple(found)


def _results(node: Expr) -> Iterator[Call]:
    """Yield the outermost calls of functions that are no part of the language."""
    if isinstance(node, Call) and node.function not in LIBRARY:
        yield node
        return
    for child in children(node):
        yield from _results(child)


def _bound(node: Expr) -> bool:
    """Tell whether something inside is bound there, so that it has no value outside."""
    return binder(node) is not None or any(_bound(child) for child in children(node))


def _is_order(node: Expr) -> bool:
    return isinstance(node, Call) and node.function == "argsort"


def _same(first: Any, second: Any) -> bool:
    if np.shape(first) != np.shape(second):
        return False
    try:
        return bool(np.array_equal(first, second))
    except (TypeError, ValueError):
        return False
