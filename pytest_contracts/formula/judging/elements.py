"""Elements of arrays that are compared: which is worst, and by how much."""

from __future__ import annotations

from typing import Any

import numpy as np


def at(value: Any, index: tuple[int, ...] | None) -> Any:
    """Return the element at an index, the value itself where there is none."""
    array = np.asarray(value)
    if index is None or array.ndim != len(index):
        return value
    element = array[index]
    return element.item() if isinstance(element, np.generic) else element


def first(where: Any) -> tuple[int, ...]:
    """Return the first index at which the mask holds."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def excess_of(symbol: str, difference: Any) -> Any:
    """Return by how much a comparison fails; negative where it holds with room to spare."""
    if symbol in ("<", "<="):
        return difference
    if symbol in (">", ">="):
        return -difference
    return abs(difference)


def largest(values: Any, among: Any) -> tuple[int, ...]:
    """Return the index of the largest value among those that the mask selects."""
    ranked = np.where(among, values, -np.inf)
    best = int(np.argmax(ranked))
    if not among.flat[best]:
        return first(among)
    return tuple(int(i) for i in np.unravel_index(best, ranked.shape))
