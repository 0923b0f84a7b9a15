"""Library functions of single numbers, applied to every element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library.reductions import extremum
from pytest_contracts.formula.values import (
    Array,
    Undefined,
    as_array,
    contains_nan,
    host,
    number,
    settle,
)


def of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of operands."""

    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        values = [number(argument, precision) for argument in arguments]
        return settle(function(*values, **keywords), precision)

    return apply


def of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of floating arrays."""

    def apply(precision: DTypeLike, *arguments: Any) -> Any:
        values = [np.asarray(as_array(value, precision), dtype=precision) for value in arguments]
        arithmetic.broadcast(*values)
        return settle(np.asarray(function(*values)), precision)

    return apply


def rounding(function: np.ufunc, exact: Callable[[float], int]) -> Callable[..., Any]:
    """Wrap a rounding function; scalars become exact integers."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        value = number(value, precision)
        if isinstance(value, int) or (isinstance(value, np.ndarray) and value.dtype.kind == "i"):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return exact(value)
        return settle(function(value), precision)

    return apply


def absolute(value: Any) -> Any:
    """Return the absolute value."""
    return abs(value) if isinstance(value, int) else np.abs(value)


def sign(value: Any) -> Any:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0) if isinstance(value, int) else np.sign(value)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def erf(x: Array) -> Array:
    """Return the error function."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)  # type: ignore[no-any-return]


def where(precision: DTypeLike, condition: Any, then: Any, otherwise: Any) -> Any:
    """Return elements of the one or the other."""
    condition = np.asarray(host(condition))
    if condition.dtype.kind != "b":
        numbers = as_array(condition)
        if contains_nan(numbers):
            raise Undefined("NaN is neither true nor false")
        condition = numbers != 0
    then, otherwise = as_array(then, precision), as_array(otherwise, precision)
    arithmetic.broadcast(condition, then, otherwise)
    return settle(np.where(condition, then, otherwise), precision)


def clip(precision: DTypeLike, value: Any, low: Any, high: Any) -> Any:
    """Return the value limited to [low, high]."""
    lowered = extremum(np.maximum, np.max)(precision, value, low)
    return extremum(np.minimum, np.min)(precision, lowered, high)


def predicate(function: Callable[[Array], Array]) -> Callable[..., Any]:
    """Wrap a predicate of floating elements."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(function(np.asarray(as_array(value, precision), dtype=precision)), precision)

    return apply
