"""Array literals, and what is taken of an array by an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.tree import Array, Dots, Expr, Index, Slice
from pytest_contracts.formula.values import (
    brief,
    ensure_size,
    integer,
    integers,
    is_numeric,
    number,
)


def index(run: Evaluation, node: Index) -> Any:
    """Return the elements of an array at an index."""
    base = run.value(node.base)
    if isinstance(base, list | tuple) and is_numeric(base):
        base = np.asarray(base)
    if not isinstance(base, np.ndarray) or not base.ndim:
        message = f"only an array can be indexed, not {brief(base)}"
        raise FormulaError(message, offset=node.offset)
    items = tuple(_item(run, item) for item in node.items)
    run.placed(node, _ensure_indexable, base, items)
    try:
        return run.made(base[items])
    except (IndexError, OverflowError):
        written = ", ".join(":" if isinstance(i, slice) else brief(i) for i in items)
        message = f"index [{written}] is outside an array of shape {list(base.shape)}"
        raise FormulaError(message, offset=node.offset) from None


def _item(run: Evaluation, item: Expr) -> Any:
    if isinstance(item, Dots):
        return Ellipsis
    if isinstance(item, Slice):
        limits = [
            None if part is None else integer(run.value(part), "a slice's bound")
            for part in (item.start, item.stop, item.step)
        ]
        if limits[2] == 0:
            raise FormulaError("the step of a slice is zero", offset=item.offset)
        return slice(*limits)
    value = run.value(item)
    if type(value) is int:
        return value
    chosen = integers(value, "an index")
    return chosen if chosen.ndim else int(chosen)


def _ensure_indexable(base: np.ndarray[Any, Any], items: tuple[Any, ...]) -> None:
    """Refuse an index by arrays whose result would be too large."""
    chosen = [item.size for item in items if isinstance(item, np.ndarray)]
    if not chosen:
        return
    named = [item for item in items if item is not Ellipsis]
    rest: list[Any] = [slice(None)] * (base.ndim - len(named))
    place = items.index(Ellipsis) if len(named) < len(items) else len(items)
    every = [*items[:place], *rest, *items[place + 1 :]]
    kept = [
        length for length, item in zip(base.shape, every, strict=False) if isinstance(item, slice)
    ]
    ensure_size(max(chosen), *kept)


def array(run: Evaluation, node: Array) -> Any:
    """Return the value of an array literal."""
    values = [run.numeric(item) for item in node.items]
    if not values:
        return np.zeros(0, dtype=np.int64)
    if not any(np.ndim(value) for value in values):
        return scalars(run, values)
    run.placed(node, ensure_size, sum(np.size(value) for value in values))
    return run.made(run.placed(node, number, values, run.precision))


def scalars(run: Evaluation, values: list[Any]) -> Any:
    """Return numbers as an array."""
    integral = all(isinstance(value, int) and abs(value) < 1 << 62 for value in values)
    return np.asarray(values, dtype=np.int64 if integral else run.precision)
