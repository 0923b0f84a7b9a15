"""The fixed function library; nothing else can be called, except the contract's own equations.

Elementwise: exp exp2 expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan atan2 sinh cosh
tanh erf sigmoid abs sign floor ceil round trunc clip hypot where, and max/min of two or more.
Reductions, with ``axis=`` and ``keepdims=`` as in NumPy, or over ``f(i) for i in range(n)``:
sum prod max min mean std var all any count norm argmax argmin (without ``axis``: all elements).
Arrays: shape size ndim len T dot outer concat stack reshape repeat flip cumsum sorted argsort
zeros ones zeros_like ones_like full eye range tril triu (``range`` excludes its end; ``T`` swaps
the last two axes; ``tril(x, k)`` keeps what lies on and below diagonal k).
Bits: & | << >> as operators; xor popcount signed(x, bits) float16 float32 (rounding)
float16_bits float32_bits float16_from_bits float32_from_bits.
Predicates, elementwise: finite isnan isinf. Comparisons: cosine(a, b), ulp_distance(a, b) on
float32 bit patterns, and sha256(x), the hex digest of an array's bytes or of a text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import cosine, ulp_distance
from pytest_contracts.formula.values import (
    Array,
    Undefined,
    as_array,
    contains_nan,
    ensure_size,
    host,
    integer,
    integers,
    number,
    settle,
)


@dataclass(frozen=True, slots=True)
class Function:
    """A library function: how many arguments it takes, and what it does with raw values."""

    minimum: int
    maximum: int | None
    apply: Callable[..., Any]
    keywords: bool = False
    reduces: bool = False


def _numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        values = [number(argument, precision) for argument in arguments]
        return settle(function(*values, **keywords), precision)

    return apply


def _floats(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, *arguments: Any) -> Any:
        values = [np.asarray(as_array(value, precision), dtype=precision) for value in arguments]
        arithmetic.broadcast(*values)
        return settle(np.asarray(function(*values)), precision)

    return apply


def _reduction(function: Callable[..., Any], *, empty: bool = False) -> Callable[..., Any]:
    """``empty`` tells whether a reduction of nothing has a value."""

    def apply(precision: DTypeLike, value: Any, **keywords: Any) -> Any:
        array = as_array(value, precision)
        axis = _axis(keywords.get("axis"), array.ndim)
        length = array.size if axis is None else array.shape[axis]
        if not length and not empty:
            raise Undefined("a reduction over no elements has no value")
        result = function(array, axis=axis, keepdims=bool(keywords.get("keepdims", False)))
        return settle(np.asarray(result), precision)

    return apply


def _axis(axis: Any, dimensions: int) -> int | None:
    if axis is None:
        return None
    number_of = integer(axis, "axis")
    if not -dimensions <= number_of < dimensions:
        raise FormulaError(f"axis {number_of} does not exist in an array of {dimensions} axes")
    return number_of


def _exact_or(function: Callable[..., Any]) -> Callable[..., Any]:
    """Sum and product of int64 elements must not wrap."""

    def apply(array: Array, **keywords: Any) -> Any:
        if array.dtype.kind == "i" and array.size:
            estimate = function(np.abs(array.astype(np.float64)), **keywords)
            if np.max(np.abs(estimate), initial=0.0) >= 2.0**62:
                array = array.astype(np.float64)
        return function(array, **keywords)

    return apply


def _ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rank among NaNs says nothing, so it must not satisfy a claim."""

    def apply(array: Array, **keywords: Any) -> Any:
        if contains_nan(array):
            raise Undefined("the order of elements is undefined: NaN among them")
        return function(array, **keywords)

    return apply


def _count(array: Array, **keywords: Any) -> Any:
    return np.count_nonzero(array, **keywords)


def _norm(precision: DTypeLike, value: Any, order: Any = 2, **keywords: Any) -> Any:
    array = np.abs(np.asarray(as_array(value, precision), dtype=precision))
    axis = _axis(keywords.get("axis"), array.ndim)
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


def _extremum(ufunc: np.ufunc, reduce: Callable[..., Any]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 1:
            return _reduction(reduce)(precision, *arguments, **keywords)
        if keywords:
            raise FormulaError("axis applies to the extremum of one array")
        result = number(arguments[0], precision)
        for argument in arguments[1:]:
            other = number(argument, precision)
            if isinstance(result, int) and isinstance(other, int):
                result = max(result, other) if ufunc is np.maximum else min(result, other)
                continue
            arithmetic.broadcast(result, other)
            result = settle(ufunc(result, other), precision)
        return result

    return apply


def _rounding(function: np.ufunc, exact: Callable[[float], int]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        value = number(value, precision)
        if isinstance(value, int) or (isinstance(value, np.ndarray) and value.dtype.kind == "i"):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return exact(value)
        return settle(function(value), precision)

    return apply


def _abs(value: Any) -> Any:
    return abs(value) if isinstance(value, int) else np.abs(value)


def _sign(value: Any) -> Any:
    return (value > 0) - (value < 0) if isinstance(value, int) else np.sign(value)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)  # type: ignore[no-any-return]


def _where(precision: DTypeLike, condition: Any, then: Any, otherwise: Any) -> Any:
    condition = np.asarray(host(condition))
    if condition.dtype.kind != "b":
        condition = as_array(condition) != 0
    then, otherwise = number(then, precision), number(otherwise, precision)
    arithmetic.broadcast(condition, then, otherwise)
    return settle(np.where(condition, then, otherwise), precision)


def _clip(precision: DTypeLike, value: Any, low: Any, high: Any) -> Any:
    lowered = _extremum(np.maximum, np.max)(precision, value, low)
    return _extremum(np.minimum, np.min)(precision, lowered, high)


def _shape(precision: DTypeLike, value: Any) -> Any:
    return np.asarray(np.shape(host(value)), dtype=np.int64)


def _len(precision: DTypeLike, value: Any) -> int:
    value = host(value)
    try:
        return len(value)
    except TypeError:
        raise FormulaError("a scalar has no length") from None


def _transpose(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.ndim < 2:
        return value
    return np.swapaxes(value, -1, -2)


def _dot(precision: DTypeLike, left: Any, right: Any) -> Any:
    left, right = number(left, precision), number(right, precision)
    if np.ndim(left) != 1 or np.shape(left) != np.shape(right):
        raise FormulaError("dot takes two vectors of one length; '@' multiplies matrices")
    return arithmetic.matmul(left, right, precision)


def _outer(precision: DTypeLike, left: Any, right: Any) -> Any:
    left, right = number(left, precision), number(right, precision)
    if np.ndim(left) != 1 or np.ndim(right) != 1:
        raise FormulaError("outer takes two vectors")
    return arithmetic.binary("*", left[:, None], right[None, :], precision)


def _joined(function: Callable[..., Any], *, new_axis: bool) -> Callable[..., Any]:
    def apply(precision: DTypeLike, *arguments: Any, **keywords: Any) -> Any:
        parts = [as_array(argument, precision) for argument in arguments]
        if len(parts) == 1 and parts[0].ndim:
            parts = list(parts[0])
        if not parts:
            raise Undefined("nothing to join")
        ensure_size(sum(part.size for part in parts))
        axis = _axis(keywords.get("axis", 0), parts[0].ndim + new_axis)
        try:
            return settle(function(parts, axis=axis), precision)
        except ValueError:
            shapes = ", ".join(str(list(part.shape)) for part in parts[:4])
            raise FormulaError(f"shapes {shapes} cannot be joined") from None

    return apply


def _lengths(value: Any) -> tuple[int, ...]:
    lengths = tuple(int(length) for length in np.atleast_1d(integers(value, "a shape")))
    if len(lengths) > 8:
        raise FormulaError("an array has at most 8 axes")
    return lengths


def _reshape(precision: DTypeLike, value: Any, shape: Any) -> Any:
    array, lengths = as_array(value, precision), _lengths(shape)
    try:
        return settle(array.reshape(lengths), precision)
    except ValueError:
        raise FormulaError(
            f"{array.size} elements of shape {list(array.shape)} do not fit {list(lengths)}"
        ) from None


def _filled(content: float) -> Callable[..., Any]:
    def apply(precision: DTypeLike, shape: Any) -> Any:
        lengths = _lengths(shape)
        ensure_size(*lengths)
        return np.full(lengths, content, dtype=precision)

    return apply


def _filled_like(content: float) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(np.full(np.shape(host(value)), content, dtype=precision), precision)

    return apply


def _full(precision: DTypeLike, shape: Any, value: Any) -> Any:
    lengths = _lengths(shape)
    ensure_size(*lengths)
    return settle(np.full(lengths, number(value, precision)), precision)


def _eye(precision: DTypeLike, size: Any) -> Any:
    length = integer(size, "the size")
    ensure_size(length, length)
    return np.eye(length, dtype=precision)


def bounds(arguments: tuple[Any, ...]) -> range:
    """Return the range that ``range(stop)``, ``range(start, stop[, step])`` stands for."""
    values = [integer(argument, "a bound of a range") for argument in arguments]
    if len(values) == 3 and values[2] == 0:
        raise FormulaError("the step of a range is zero")
    return range(*values)


def _range(precision: DTypeLike, *arguments: Any) -> Any:
    numbers = bounds(arguments)
    # len() refuses lengths beyond the machine word.
    ensure_size(max(0, -((numbers.start - numbers.stop) // numbers.step)))
    if max(abs(numbers.start), abs(numbers.stop)) >= 1 << 62:
        raise FormulaError("a bound of a range exceeds 62 bits")
    return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)


def _repeat(precision: DTypeLike, value: Any, times: Any, **keywords: Any) -> Any:
    array, count = np.atleast_1d(as_array(value, precision)), integer(times, "the count")
    ensure_size(array.size, count)
    axis = _axis(keywords.get("axis", 0), array.ndim)
    return settle(np.repeat(array, count, axis=axis), precision)


def _along(function: Callable[..., Any]) -> Callable[..., Any]:
    """For functions that keep the shape and work along one axis, the last by default."""

    def apply(precision: DTypeLike, value: Any, **keywords: Any) -> Any:
        array = np.atleast_1d(as_array(value, precision))
        axis = _axis(keywords.get("axis", -1), array.ndim)
        return settle(function(array, axis=axis), precision)

    return apply


def _argsort(array: Array, axis: int) -> Array:
    return np.argsort(array, axis=axis, kind="stable")


def _triangle(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any, diagonal: Any = 0) -> Any:
        array = as_array(value, precision)
        if array.ndim < 2:
            raise FormulaError("a triangle is taken of a matrix")
        return settle(function(array, integer(diagonal, "the diagonal")), precision)

    return apply


def _popcount(precision: DTypeLike, value: Any) -> Any:
    value = number(value, precision)
    if isinstance(value, int):
        return abs(value).bit_count()
    return settle(np.bitwise_count(integers(value, "popcount")).astype(np.int64), precision)


def _signed(precision: DTypeLike, value: Any, bits: Any) -> Any:
    width = integer(bits, "the width")
    if not 1 <= width <= 62:
        raise FormulaError("the width is 1 to 62 bits")
    array = integers(value, "signed") & ((1 << width) - 1)
    return settle(array - ((array >> (width - 1)) << width), precision)


def _rounded_to(kind: type[np.floating[Any]]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(as_array(value, precision).astype(kind), precision)

    return apply


def _bits_of(
    kind: type[np.floating[Any]], pattern: type[np.unsignedinteger[Any]]
) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        array = as_array(value).astype(kind)
        bits = np.ascontiguousarray(array).view(pattern).astype(np.int64)
        return settle(bits.reshape(array.shape), precision)

    return apply


def _from_bits(
    kind: type[np.floating[Any]], pattern: type[np.unsignedinteger[Any]]
) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        array = integers(value, "a bit pattern")
        limit = 1 << 8 * np.dtype(pattern).itemsize
        if np.any((array < 0) | (array >= limit)):
            raise FormulaError(f"a bit pattern of {np.dtype(kind).name} is 0 to {limit - 1}")
        floats = np.ascontiguousarray(array.astype(pattern)).view(kind).reshape(array.shape)
        return settle(floats, precision)

    return apply


def _sha256(precision: DTypeLike, value: Any) -> str:
    value = host(value)
    if isinstance(value, str):
        return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    if isinstance(value, bytes | bytearray | memoryview):
        return hashlib.sha256(value).hexdigest()
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "biuf":
        raise FormulaError(f"sha256 of a {type(value).__name__} is not defined")
    header = f"{array.dtype.str}{list(array.shape)}".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def _cosine(precision: DTypeLike, left: Any, right: Any) -> float:
    return cosine(as_array(left), as_array(right))


def _ulp_distance(precision: DTypeLike, left: Any, right: Any) -> Any:
    left, right = as_array(left), as_array(right)
    arithmetic.broadcast(left, right)
    distance = ulp_distance(left, right)
    if contains_nan(distance):
        raise Undefined("the ulp distance to NaN is undefined")
    return settle(distance, np.float64)


def _predicate(function: Callable[[Array], Array]) -> Callable[..., Any]:
    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(function(np.asarray(as_array(value, precision), dtype=precision)), precision)

    return apply


def _table() -> dict[str, Function]:
    table: dict[str, Function] = {}
    for ufunc in (
        *(np.exp, np.exp2, np.expm1, np.log, np.log1p, np.log2, np.log10, np.sqrt),
        *(np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh),
    ):
        table[ufunc.__name__.replace("arc", "a")] = Function(1, 1, _floats(ufunc))
    for name, two in {"atan2": np.arctan2, "hypot": np.hypot}.items():
        table[name] = Function(2, 2, _floats(two))
    roundings: dict[str, tuple[np.ufunc, Callable[[float], int]]] = {
        "floor": (np.floor, math.floor),
        "ceil": (np.ceil, math.ceil),
        "round": (np.rint, round),
        "trunc": (np.trunc, math.trunc),
    }
    for name, rounding in roundings.items():
        table[name] = Function(1, 1, _rounding(*rounding))
    reductions: dict[str, Callable[..., Any]] = {
        "sum": _reduction(_exact_or(np.sum), empty=True),
        "prod": _reduction(_exact_or(np.prod), empty=True),
        "mean": _reduction(np.mean),
        "std": _reduction(np.std),
        "var": _reduction(np.var),
        "all": _reduction(np.all, empty=True),
        "any": _reduction(np.any, empty=True),
        "count": _reduction(_count, empty=True),
        "argmax": _reduction(_ordered(np.argmax)),
        "argmin": _reduction(_ordered(np.argmin)),
    }
    for name, reduction in reductions.items():
        table[name] = Function(1, 1, reduction, keywords=True, reduces=True)
    table |= {
        "max": Function(1, None, _extremum(np.maximum, np.max), keywords=True, reduces=True),
        "min": Function(1, None, _extremum(np.minimum, np.min), keywords=True, reduces=True),
        "norm": Function(1, 2, _norm, keywords=True),
        "abs": Function(1, 1, _numbers(_abs)),
        "sign": Function(1, 1, _numbers(_sign)),
        "erf": Function(1, 1, _floats(_erf)),
        "sigmoid": Function(1, 1, _floats(_sigmoid)),
        "clip": Function(3, 3, _clip),
        "where": Function(3, 3, _where),
        "shape": Function(1, 1, _shape),
        "size": Function(1, 1, lambda precision, value: int(np.size(host(value)))),
        "ndim": Function(1, 1, lambda precision, value: int(np.ndim(host(value)))),
        "len": Function(1, 1, _len),
        "T": Function(1, 1, _numbers(_transpose)),
        "dot": Function(2, 2, _dot),
        "outer": Function(2, 2, _outer),
        "concat": Function(
            1, None, _joined(np.concatenate, new_axis=False), keywords=True, reduces=True
        ),
        "stack": Function(1, None, _joined(np.stack, new_axis=True), keywords=True, reduces=True),
        "reshape": Function(2, 2, _reshape),
        "repeat": Function(2, 2, _repeat, keywords=True),
        "flip": Function(1, 1, _along(np.flip), keywords=True),
        "cumsum": Function(1, 1, _along(np.cumsum), keywords=True),
        "sorted": Function(1, 1, _along(_ordered(np.sort)), keywords=True, reduces=True),
        "argsort": Function(1, 1, _along(_ordered(_argsort)), keywords=True),
        "zeros": Function(1, 1, _filled(0.0)),
        "ones": Function(1, 1, _filled(1.0)),
        "zeros_like": Function(1, 1, _filled_like(0.0)),
        "ones_like": Function(1, 1, _filled_like(1.0)),
        "full": Function(2, 2, _full),
        "eye": Function(1, 1, _eye),
        "range": Function(1, 3, _range),
        "tril": Function(1, 2, _triangle(np.tril)),
        "triu": Function(1, 2, _triangle(np.triu)),
        "xor": Function(
            2, 2, lambda precision, a, b: arithmetic.xor(number(a), number(b), precision)
        ),
        "popcount": Function(1, 1, _popcount),
        "signed": Function(2, 2, _signed),
        "float16": Function(1, 1, _rounded_to(np.float16)),
        "float32": Function(1, 1, _rounded_to(np.float32)),
        "float16_bits": Function(1, 1, _bits_of(np.float16, np.uint16)),
        "float32_bits": Function(1, 1, _bits_of(np.float32, np.uint32)),
        "float16_from_bits": Function(1, 1, _from_bits(np.float16, np.uint16)),
        "float32_from_bits": Function(1, 1, _from_bits(np.float32, np.uint32)),
        "finite": Function(1, 1, _predicate(np.isfinite)),
        "isnan": Function(1, 1, _predicate(np.isnan)),
        "isinf": Function(1, 1, _predicate(np.isinf)),
        "cosine": Function(2, 2, _cosine),
        "ulp_distance": Function(2, 2, _ulp_distance),
        "sha256": Function(1, 1, _sha256),
    }
    return table


LIBRARY: Mapping[str, Function] = MappingProxyType(_table())
