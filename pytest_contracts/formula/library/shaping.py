"""Library functions that make arrays, and take them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library.elementwise import of_numbers
from pytest_contracts.formula.library.forms import TRANSPOSE
from pytest_contracts.formula.library.function import RESULT, TERMS, Function
from pytest_contracts.formula.library.reductions import axis_of, ordered
from pytest_contracts.formula.library.rules import (
    lined,
    rank,
    row,
    same,
    scalar,
    transposed,
    unknown,
)
from pytest_contracts.formula.values import (
    Array,
    Undefined,
    as_array,
    brief,
    ensure_size,
    host,
    integer,
    integers,
    number,
    settle,
)


def shape(precision: DTypeLike, value: Any) -> Any:
    """Return the shape."""
    return np.asarray(np.shape(host(value)), dtype=np.int64)


def size(precision: DTypeLike, value: Any) -> int:
    """Return the number of elements."""
    return int(np.size(host(value)))


def dimensions(precision: DTypeLike, value: Any) -> int:
    """Return the number of axes."""
    return int(np.ndim(host(value)))


def length(precision: DTypeLike, value: Any) -> int:
    """Return the length of the first axis, or of a text."""
    value = host(value)
    try:
        return len(value)
    except TypeError:
        raise FormulaError("a scalar has no length") from None


def transpose(value: Any) -> Any:
    """Return the array with its last two axes swapped."""
    if not isinstance(value, np.ndarray) or value.ndim < 2:
        return value
    return np.swapaxes(value, -1, -2)


def dot(precision: DTypeLike, left: Any, right: Any) -> Any:
    """Return the inner product of two vectors."""
    left, right = number(left, precision), number(right, precision)
    if np.ndim(left) != 1 or np.shape(left) != np.shape(right):
        raise FormulaError("dot takes two vectors of one length; '@' multiplies matrices")
    return arithmetic.matmul(left, right, precision)


def outer(precision: DTypeLike, left: Any, right: Any) -> Any:
    """Return the outer product of two vectors."""
    left, right = number(left, precision), number(right, precision)
    if np.ndim(left) != 1 or np.ndim(right) != 1:
        raise FormulaError("outer takes two vectors")
    return arithmetic.binary("*", left[:, None], right[None, :], precision)


def joined(function: Callable[..., Any], *, new_axis: bool) -> Callable[..., Any]:
    """Wrap concatenation or stacking."""

    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        parts = [as_array(argument, precision) for argument in arguments]
        if len(parts) == 1 and parts[0].ndim:
            parts = list(parts[0])
        if not parts:
            raise Undefined("nothing to join")
        ensure_size(sum(part.size for part in parts))
        axis = axis_of(keywords.get("axis", 0), parts[0].ndim + new_axis)
        try:
            return settle(function(parts, axis=axis), precision)
        except ValueError:
            shapes = ", ".join(str(list(part.shape)) for part in parts[:4])
            raise FormulaError(f"shapes {shapes} cannot be joined") from None

    return apply


def shape_from(value: Any) -> tuple[int, ...]:
    """Return a shape."""
    lengths = np.atleast_1d(integers(value, "a shape"))
    if lengths.ndim > 1:
        raise FormulaError(f"a shape is a list of lengths, not {brief(lengths)}")
    if lengths.size > 8:
        raise FormulaError("an array has at most 8 axes")
    return tuple(int(length) for length in lengths)


def reshape(precision: DTypeLike, value: Any, shape: Any) -> Any:
    """Return the elements in another shape."""
    array, lengths = as_array(value, precision), shape_from(shape)
    try:
        return settle(array.reshape(lengths), precision)
    except ValueError:
        raise FormulaError(
            f"{array.size} elements of shape {list(array.shape)} do not fit {list(lengths)}"
        ) from None


def filled(content: float) -> Callable[..., Any]:
    """Return a maker of constant arrays."""

    def apply(precision: DTypeLike, shape: Any) -> Any:
        lengths = shape_from(shape)
        ensure_size(*lengths)
        return np.full(lengths, content, dtype=precision)

    return apply


def filled_like(content: float) -> Callable[..., Any]:
    """Return a maker of constant arrays of the shape of another."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(np.full(np.shape(host(value)), content, dtype=precision), precision)

    return apply


def full(precision: DTypeLike, shape: Any, value: Any) -> Any:
    """Return a constant array."""
    lengths = shape_from(shape)
    ensure_size(*lengths)
    content = number(value, precision)
    try:
        return settle(np.full(lengths, content), precision)
    except ValueError:
        shapes = f"{list(np.shape(content))} does not fit {list(lengths)}"
        raise FormulaError(f"a value of shape {shapes}") from None


def eye(precision: DTypeLike, size: Any) -> Any:
    """Return the identity matrix."""
    length = integer(size, "the size")
    ensure_size(length, length)
    return np.eye(length, dtype=precision)


def bounds(arguments: tuple[Any, ...]) -> range:
    """Return the range that ``range(stop)``, ``range(start, stop[, step])`` stands for."""
    values = [integer(argument, "a bound of a range") for argument in arguments]
    if len(values) == 3 and values[2] == 0:
        raise FormulaError("the step of a range is zero")
    return range(*values)


def range_of(precision: DTypeLike, *arguments: Any) -> Any:
    """Return the integers of a range."""
    numbers = bounds(arguments)
    # len() refuses lengths beyond the machine word.
    ensure_size(max(0, -((numbers.start - numbers.stop) // numbers.step)))
    if max(abs(numbers.start), abs(numbers.stop)) >= 1 << 62:
        raise FormulaError("a bound of a range exceeds 62 bits")
    return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)


def repeat(precision: DTypeLike, value: Any, times: Any, **keywords: Any) -> Any:
    """Return every element several times."""
    array, count = np.atleast_1d(as_array(value, precision)), integer(times, "the count")
    ensure_size(array.size, count)
    axis = axis_of(keywords.get("axis", 0), array.ndim)
    return settle(np.repeat(array, count, axis=axis), precision)


def along(function: Callable[..., Any]) -> Callable[..., Any]:
    """For functions that keep the shape and work along one axis, the last by default."""

    def apply(precision: DTypeLike, value: Any, **keywords: Any) -> Any:
        array = np.atleast_1d(as_array(value, precision))
        axis = axis_of(keywords.get("axis", -1), array.ndim)
        return settle(function(array, axis=axis), precision)

    return apply


def argsort(array: Array, axis: int) -> Array:
    """Return the order of elements, ties by position."""
    return np.argsort(array, axis=axis, kind="stable")


def triangle(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap tril or triu."""

    def apply(precision: DTypeLike, value: Any, diagonal: Any = 0) -> Any:
        array = as_array(value, precision)
        if array.ndim < 2:
            raise FormulaError("a triangle is taken of a matrix")
        return settle(function(array, integer(diagonal, "the diagonal")), precision)

    return apply


FUNCTIONS: tuple[Function, ...] = (
    Function("shape", 1, 1, shape, rank, "sizes of the axes"),
    Function("size", 1, 1, size, scalar, "number of elements"),
    Function("ndim", 1, 1, dimensions, scalar, "number of axes"),
    Function("len", 1, 1, length, scalar, "length of the first axis"),
    Function("T", 1, 1, of_numbers(transpose), transposed, "last two axes swapped", form=TRANSPOSE),
    Function("dot", 2, 2, dot, scalar, "product of two vectors", rounds=TERMS),
    Function("outer", 2, 2, outer, unknown, "outer product of two vectors", rounds=RESULT),
    Function("concat", 1, None, joined(np.concatenate, new_axis=False), unknown,
             "joined along an axis", keywords=True, reduces=True, spreads=True),
    Function("stack", 1, None, joined(np.stack, new_axis=True), unknown,
             "joined along a new axis", keywords=True, reduces=True, spreads=True),
    Function("reshape", 2, 2, reshape, unknown, "the same elements in another shape"),
    Function("repeat", 2, 2, repeat, unknown, "each element a number of times", keywords=True),
    Function("flip", 1, 1, along(np.flip), lined, "reversed", keywords=True),
    Function("cumsum", 1, 1, along(np.cumsum), lined, "running sum", keywords=True, rounds=TERMS),
    Function("sorted", 1, 1, along(ordered(np.sort)), lined,
             "in rising order", keywords=True, reduces=True),
    Function("argsort", 1, 1, along(ordered(argsort)), lined,
             "indices of the rising order, stable", keywords=True),
    Function("zeros", 1, 1, filled(0.0), unknown, "zeros of a shape"),
    Function("ones", 1, 1, filled(1.0), unknown, "ones of a shape"),
    Function("zeros_like", 1, 1, filled_like(0.0), same, "zeros of an array's shape"),
    Function("ones_like", 1, 1, filled_like(1.0), same, "ones of an array's shape"),
    Function("full", 2, 2, full, unknown, "a value, in a shape"),
    Function("eye", 1, 1, eye, unknown, "identity matrix"),
    Function("range", 1, 3, range_of, row, "integers, the end excluded"),
    Function("tril", 1, 2, triangle(np.tril), same, "on and below a diagonal, zero above"),
    Function("triu", 1, 2, triangle(np.triu), same, "on and above a diagonal, zero below"),
)  # fmt: skip
