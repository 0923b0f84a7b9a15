"""Rounding made visible: every result that may be rounded is moved to one of its neighbours.

What an evaluation loses by rounding cannot be seen in its result: exp(1e-30) − 1 is exactly 0 in
any precision of fewer than a hundred bits. Evaluated with each rounding moved up or down at random,
the result varies by what the rounding did to it (Vignes 2004, "Discrete Stochastic Arithmetic").
Exact operations are left alone: moving them would make ``x − max(x) = 0`` false.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def moved(value: Any, generator: np.random.Generator, precision: DTypeLike) -> Any:
    """Return floating values moved to a neighbour in the working precision; 0 and inf stay."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    array = array.astype(precision, copy=False)
    away = np.where(generator.integers(0, 2, array.shape) == 1, np.inf, -np.inf)
    neighbour = np.nextafter(array, away.astype(precision))
    return np.where((array == 0) | ~np.isfinite(array), array, neighbour)[()]


def is_exact(operator: str, left: Any, right: Any, result: Any) -> Any:
    """Tell, elementwise, whether an operation on floats was carried out without rounding."""
    if operator in ("+", "-"):
        second = right if operator == "+" else -right
        other = result - left
        return (left - (result - other)) + (second - other) == 0  # Knuth's TwoSum
    if operator == "*":
        return _is_power_of_two(left) | _is_power_of_two(right) | (result == 0)
    if operator == "/":
        return _is_power_of_two(right) | (result == 0) | (abs(result) == 1)
    if operator == "**":
        return (right == 0) | (right == 1)
    return np.asarray(operator != "@")


def _is_power_of_two(value: Any) -> Any:
    return np.frexp(np.abs(np.asarray(value, dtype=np.longdouble)))[0] == 0.5
