"""Library functions on bit patterns, and what is measured by them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import cosine, ulp_distance
from pytest_contracts.formula.library.function import Function
from pytest_contracts.formula.library.rules import fitted, same, scalar
from pytest_contracts.formula.values import (
    Undefined,
    as_array,
    contains_nan,
    host,
    integer,
    integers,
    number,
    settle,
)


def xor(precision: DTypeLike, left: Any, right: Any) -> Any:
    """Return the exclusive or of integers."""
    return arithmetic.xor(number(left), number(right), precision)


def popcount(precision: DTypeLike, value: Any) -> Any:
    """Return the number of set bits."""
    value = number(value, precision)
    if isinstance(value, int):
        return abs(value).bit_count()
    return settle(np.bitwise_count(integers(value, "popcount")).astype(np.int64), precision)


def signed(precision: DTypeLike, value: Any, bits: Any) -> Any:
    """Read the low bits as two's complement."""
    width = integer(bits, "the width")
    if not 1 <= width <= 62:
        raise FormulaError("the width is 1 to 62 bits")
    array = integers(value, "signed") & ((1 << width) - 1)
    return settle(array - ((array >> (width - 1)) << width), precision)


def rounded_to(kind: type[np.floating[Any]]) -> Callable[..., Any]:
    """Return a rounding to a floating type."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        return settle(as_array(value, precision).astype(kind), precision)

    return apply


def bits_of(
    kind: type[np.floating[Any]], pattern: type[np.unsignedinteger[Any]]
) -> Callable[..., Any]:
    """Return a reading of the bits of a floating type."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        array = as_array(value).astype(kind)
        bits = np.ascontiguousarray(array).view(pattern).astype(np.int64)
        return settle(bits.reshape(array.shape), precision)

    return apply


def from_bits(
    kind: type[np.floating[Any]], pattern: type[np.unsignedinteger[Any]]
) -> Callable[..., Any]:
    """Return a floating type read from its bits."""

    def apply(precision: DTypeLike, value: Any) -> Any:
        array = integers(value, "a bit pattern")
        limit = 1 << 8 * np.dtype(pattern).itemsize
        if np.any((array < 0) | (array >= limit)):
            raise FormulaError(f"a bit pattern of {np.dtype(kind).name} is 0 to {limit - 1}")
        floats = np.ascontiguousarray(array.astype(pattern)).view(kind).reshape(array.shape)
        return settle(floats, precision)

    return apply


def sha256(precision: DTypeLike, value: Any) -> str:
    """Return the hex digest of an array (type, shape and bytes) or of a text."""
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


def cosine_of(precision: DTypeLike, left: Any, right: Any) -> float:
    """Return the cosine of the angle between two arrays."""
    left, right = as_array(left), as_array(right)
    if left.size != right.size:
        raise FormulaError(f"cosine of {left.size} and {right.size} elements is not defined")
    return cosine(left, right)


def ulp_distance_of(precision: DTypeLike, left: Any, right: Any) -> Any:
    """Return the distances in float32 units in the last place."""
    left, right = as_array(left), as_array(right)
    arithmetic.broadcast(left, right)
    distance = ulp_distance(left, right)
    if contains_nan(distance):
        raise Undefined("the ulp distance to NaN is undefined")
    return settle(distance, np.float64)


FUNCTIONS: tuple[Function, ...] = (
    Function("xor", 2, 2, xor, fitted, "exclusive or of bits"),
    Function("popcount", 1, 1, popcount, same, "number of one bits"),
    Function("signed", 2, 2, signed, same, "the low bits read as a two's complement number"),
    Function("float16", 1, 1, rounded_to(np.float16), same, "rounded to float16"),
    Function("float32", 1, 1, rounded_to(np.float32), same, "rounded to float32"),
    Function("float16_bits", 1, 1, bits_of(np.float16, np.uint16), same,
             "bit pattern of a float16"),
    Function("float32_bits", 1, 1, bits_of(np.float32, np.uint32), same,
             "bit pattern of a float32"),
    Function("float16_from_bits", 1, 1, from_bits(np.float16, np.uint16), same,
             "float16 of a bit pattern"),
    Function("float32_from_bits", 1, 1, from_bits(np.float32, np.uint32), same,
             "float32 of a bit pattern"),
    Function("cosine", 2, 2, cosine_of, scalar, "cosine of the angle between two arrays"),
    Function("ulp_distance", 2, 2, ulp_distance_of, fitted,
             "number of float32 values between two numbers"),
    Function("sha256", 1, 1, sha256, scalar,
             "digest of an array's dtype, shape and bytes, or of a text"),
)  # fmt: skip
