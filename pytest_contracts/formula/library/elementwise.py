"""Library functions of single numbers, applied to every element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library.forms import ABS, CEIL, COMMAND, FLOOR, SQRT
from pytest_contracts.formula.library.function import RESULT, Function
from pytest_contracts.formula.library.reductions import extremum
from pytest_contracts.formula.library.rules import fitted, same
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
    if x.dtype.itemsize > 8:
        return _wide_erf(x)
    return np.vectorize(math.erf, otypes=[np.float64])(x)  # type: ignore[no-any-return]


def _wide_erf(x: Array) -> Array:
    """Return 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms have one sign (DLMF 7.6.2)."""
    inside = np.clip(x, -10, 10)  # erfc(10) is 2e-45
    term = total = inside
    for n in range(1, 1000):
        term = term * (2 * inside * inside) / (2 * n + 1)
        total = total + term
        if not np.any(np.abs(term) > np.abs(total) * np.finfo(x.dtype).eps / 4):
            break
    return np.asarray(total * np.exp(-inside * inside) * 2 / np.sqrt(np.arccos(x.dtype.type(-1))))


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


FUNCTIONS: tuple[Function, ...] = (
    Function("exp", 1, 1, of_floats(np.exp), same, "eˣ", form=COMMAND, rounds=RESULT),
    Function("exp2", 1, 1, of_floats(np.exp2), same, "2ˣ", rounds=RESULT),
    Function("expm1", 1, 1, of_floats(np.expm1), same, "eˣ − 1", rounds=RESULT),
    Function("log", 1, 1, of_floats(np.log), same,
             "natural logarithm", form=COMMAND, rounds=RESULT),
    Function("log1p", 1, 1, of_floats(np.log1p), same, "log(1 + x)", rounds=RESULT),
    Function("log2", 1, 1, of_floats(np.log2), same, "logarithm to base 2", rounds=RESULT),
    Function("log10", 1, 1, of_floats(np.log10), same, "logarithm to base 10", rounds=RESULT),
    Function("sqrt", 1, 1, of_floats(np.sqrt), same, "square root", form=SQRT, rounds=RESULT),
    Function("sin", 1, 1, of_floats(np.sin), same, "sine", form=COMMAND, rounds=RESULT),
    Function("cos", 1, 1, of_floats(np.cos), same,
             "cosine of an angle", form=COMMAND, rounds=RESULT),
    Function("tan", 1, 1, of_floats(np.tan), same, "tangent", form=COMMAND, rounds=RESULT),
    Function("asin", 1, 1, of_floats(np.arcsin), same, "inverse sine", rounds=RESULT),
    Function("acos", 1, 1, of_floats(np.arccos), same, "inverse cosine", rounds=RESULT),
    Function("atan", 1, 1, of_floats(np.arctan), same, "inverse tangent", rounds=RESULT),
    Function("atan2", 2, 2, of_floats(np.arctan2), fitted,
             "angle of (x, y), given y and x", rounds=RESULT),
    Function("sinh", 1, 1, of_floats(np.sinh), same,
             "hyperbolic sine", form=COMMAND, rounds=RESULT),
    Function("cosh", 1, 1, of_floats(np.cosh), same,
             "hyperbolic cosine", form=COMMAND, rounds=RESULT),
    Function("tanh", 1, 1, of_floats(np.tanh), same,
             "hyperbolic tangent", form=COMMAND, rounds=RESULT),
    Function("hypot", 2, 2, of_floats(np.hypot), fitted, "√(x² + y²)", rounds=RESULT),
    Function("erf", 1, 1, of_floats(erf), same, "error function", rounds=RESULT),
    Function("sigmoid", 1, 1, of_floats(sigmoid), same, "1 / (1 + e⁻ˣ)", rounds=RESULT),
    Function("abs", 1, 1, of_numbers(absolute), same, "absolute value", form=ABS),
    Function("sign", 1, 1, of_numbers(sign), same, "−1, 0 or 1"),
    Function("floor", 1, 1, rounding(np.floor, math.floor), same, "next integer below", form=FLOOR),
    Function("ceil", 1, 1, rounding(np.ceil, math.ceil), same, "next integer above", form=CEIL),
    Function("round", 1, 1, rounding(np.rint, round), same, "nearest integer, ties to even"),
    Function("trunc", 1, 1, rounding(np.trunc, math.trunc), same, "towards zero"),
    Function("clip", 3, 3, clip, fitted, "x between low and high"),
    Function("where", 3, 3, where, fitted, "second where the first is true, else third"),
    Function("finite", 1, 1, predicate(np.isfinite), same, "neither NaN nor infinite"),
    Function("isnan", 1, 1, predicate(np.isnan), same, "is NaN"),
    Function("isinf", 1, 1, predicate(np.isinf), same, "is infinite"),
)  # fmt: skip
