"""Library functions that reduce an array, over all of it or along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library.forms import COMMAND, NORM, PROD, SUM
from pytest_contracts.formula.library.function import TERMS, Function
from pytest_contracts.formula.library.rules import reduced, reduced_or_fitted
from pytest_contracts.formula.values import (
    Array,
    Undefined,
    as_array,
    contains_nan,
    integer,
    number,
    settle,
)


def axis_of(axis: Any, dimensions: int) -> int | None:
    """Return an axis as an integer, None for all axes."""
    if axis is None:
        return None
    number_of = integer(axis, "axis")
    if not -dimensions <= number_of < dimensions:
        raise FormulaError(f"axis {number_of} does not exist in an array of {dimensions} axes")
    return number_of


def reduction(function: Callable[..., Any], *, empty: bool = False) -> Callable[..., Any]:
    """``empty`` tells whether a reduction of nothing has a value."""

    def apply(precision: DTypeLike, value: Any, **keywords: Any) -> Any:
        array = as_array(value, precision)
        axis = axis_of(keywords.get("axis"), array.ndim)
        length = array.size if axis is None else array.shape[axis]
        if not length and not empty:
            raise Undefined("a reduction over no elements has no value")
        result = function(array, axis=axis, keepdims=bool(keywords.get("keepdims", False)))
        return settle(np.asarray(result), precision)

    return apply


def exact(function: Callable[..., Any]) -> Callable[..., Any]:
    """Sum and product of int64 elements must not wrap."""

    def apply(array: Array, **keywords: Any) -> Any:
        if array.dtype.kind == "i" and array.size:
            estimate = function(np.abs(array.astype(np.float64)), **keywords)
            if np.max(np.abs(estimate), initial=0.0) >= 2.0**62:
                if function is np.sum:
                    total = np.asarray(np.sum(array.astype(object), **keywords))
                    if all(-(1 << 63) <= item < 1 << 63 for item in total.flat):
                        return total.astype(np.int64)
                array = array.astype(np.float64)
        return function(array, **keywords)

    return apply


def ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rank among NaNs says nothing, so it must not satisfy a claim."""

    def apply(array: Array, **keywords: Any) -> Any:
        if contains_nan(array):
            raise Undefined("the order of elements is undefined: NaN among them")
        return function(array, **keywords)

    return apply


def truths(function: Callable[..., Any]) -> Callable[..., Any]:
    """NaN counts as true in NumPy, and must not here."""

    def apply(array: Array, **keywords: Any) -> Any:
        if contains_nan(array):
            raise Undefined("NaN is neither true nor false")
        return function(array, **keywords)

    return apply


def count(array: Array, **keywords: Any) -> Any:
    """Return the number of true elements."""
    return np.count_nonzero(array, **keywords)


def norm(precision: DTypeLike, value: Any, order: Any = 2, **keywords: Any) -> Any:
    """Return the norm of the elements, scaled so that squares do not overflow."""
    array = np.abs(np.asarray(as_array(value, precision), dtype=precision))
    axis = axis_of(keywords.get("axis"), array.ndim)
    kept = bool(keywords.get("keepdims", False))
    order = number(order)
    if np.ndim(order):
        raise FormulaError("a norm is of order 1, 2 or inf")
    if order == math.inf:
        result = np.max(array, axis=axis, keepdims=kept, initial=0)
    elif order == 1:
        result = np.sum(array, axis=axis, keepdims=kept)
    elif order == 2:
        # Scaled by the largest element: squares of finite values must not overflow.
        largest = np.max(array, axis=axis, keepdims=True, initial=0)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
        root = np.sqrt(np.sum(np.square(array / scale), axis=axis, keepdims=True)) * scale
        result = root if kept else np.squeeze(root, axis=axis)
    else:
        raise FormulaError("a norm is of order 1, 2 or inf")
    return settle(np.asarray(result), precision)


def extremum(ufunc: np.ufunc, reduce: Callable[..., Any]) -> Callable[..., Any]:
    """Return max or min: of all elements of one array, or elementwise of several."""

    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 1:
            return reduction(reduce)(precision, *arguments, **keywords)
        if keywords:
            raise FormulaError("axis applies to the extremum of one array")
        result = number(arguments[0], precision)
        for argument in arguments[1:]:
            other = number(argument, precision)
            if isinstance(result, int) and isinstance(other, int):
                result = max(result, other) if ufunc is np.maximum else min(result, other)
                continue
            first, second = as_array(result, precision), as_array(other, precision)
            arithmetic.broadcast(first, second)
            result = settle(ufunc(first, second), precision)
        return result

    return apply


FUNCTIONS: tuple[Function, ...] = (
    Function("max", 1, None, extremum(np.maximum, np.max), reduced_or_fitted,
             "largest element; of two or more arguments, elementwise",
             keywords=True, reduces=True, form=COMMAND),
    Function("min", 1, None, extremum(np.minimum, np.min), reduced_or_fitted,
             "smallest element; of two or more arguments, elementwise",
             keywords=True, reduces=True, form=COMMAND),
    Function("sum", 1, 1, reduction(exact(np.sum), empty=True), reduced,
             "sum", keywords=True, reduces=True, form=SUM, rounds=TERMS),
    Function("prod", 1, 1, reduction(exact(np.prod), empty=True), reduced,
             "product", keywords=True, reduces=True, form=PROD, rounds=TERMS),
    Function("mean", 1, 1, reduction(np.mean), reduced,
             "mean", keywords=True, reduces=True, rounds=TERMS),
    Function("std", 1, 1, reduction(np.std), reduced,
             "standard deviation (n)", keywords=True, reduces=True, rounds=TERMS),
    Function("var", 1, 1, reduction(np.var), reduced,
             "variance (n)", keywords=True, reduces=True, rounds=TERMS),
    Function("all", 1, 1, reduction(truths(np.all), empty=True), reduced,
             "every element is true", keywords=True, reduces=True),
    Function("any", 1, 1, reduction(truths(np.any), empty=True), reduced,
             "some element is true", keywords=True, reduces=True),
    Function("count", 1, 1, reduction(truths(count), empty=True), reduced,
             "number of elements that are true or not zero", keywords=True, reduces=True),
    Function("norm", 1, 2, norm, reduced,
             "norm of order 2, 1 or `inf`", keywords=True, form=NORM, rounds=TERMS),
    Function("argmax", 1, 1, reduction(ordered(np.argmax)), reduced,
             "index of the first largest", keywords=True, reduces=True),
    Function("argmin", 1, 1, reduction(ordered(np.argmin)), reduced,
             "index of the first smallest", keywords=True, reduces=True),
)  # fmt: skip
