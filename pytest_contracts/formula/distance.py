"""Distances between numbers: absolute, relative, ulp, cosine, and against a noise baseline.

Every distance is compared as ``distance <= tolerance``, so that NaN never passes; equal values,
infinities included, are at distance zero. Integers are subtracted as integers: as floats those
beyond 2^53 would lose their last bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pytest_contracts.formula.values import Array
from pytest_contracts.tolerance import ToleranceKind

Float64 = NDArray[np.float64]

ULP_FLOOR = float(np.finfo(np.float32).tiny)

EXACT_INTEGERS = 1 << 53
"""From here on not every integer is a float64."""

_BITS: dict[int, type[np.signedinteger[Any]]] = {2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What ``≈`` allows, in the unit of its kind.

    ``floor`` is what counts as zero ulp, ``precision`` the dtype whose values ``ulp`` counts; of a
    narrower one (float16) only where the implementation returned it.
    """

    value: float | None
    kind: ToleranceKind = "absolute"
    floor: float | None = None
    precision: DTypeLike = np.float32

    def unit(self, *sides: object) -> np.dtype[Any]:
        """Return the dtype whose values count for these sides."""
        unit = np.dtype(self.precision)
        if unit.itemsize >= 4 or any(getattr(side, "dtype", None) == unit for side in sides):
            return unit
        return np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Closeness:
    """How far two arrays are apart.

    ``compared`` counts elements, without the ``ill_conditioned`` ones; ``error`` is the largest
    distance in the tolerance's own unit, at ``index``.
    """

    holds: bool
    compared: int
    error: float
    index: tuple[int, ...] | None
    ill_conditioned: int = 0
    reason: str = ""


def ulp_distance(left: Array, right: Array, precision: DTypeLike = np.float32) -> Float64:
    """Return the number of values of a dtype between the two, elementwise; NaN where one is NaN."""
    first, second = _ordered_bits(left, precision), _ordered_bits(right, precision)
    wide = np.dtype(precision).itemsize == 8
    distance = _gap(first, second) if wide else np.abs(first - second).astype(np.float64)
    return np.where(np.isnan(left) | np.isnan(right), np.nan, distance)


def _ordered_bits(values: Array, precision: DTypeLike) -> NDArray[np.int64]:
    with np.errstate(over="ignore"):
        rounded = np.asarray(values, dtype=precision)
    integer = _BITS[rounded.itemsize]
    bits = rounded.view(integer).astype(np.int64)
    # Sign-magnitude to ordered integers: neighbours differ by one, and both zeros are zero.
    return np.where(bits < 0, -(bits & np.int64(np.iinfo(integer).max)), bits)


def _gap(first: NDArray[np.int64], second: NDArray[np.int64]) -> Float64:
    """Return |first − second|, which may need all 64 bits."""
    high, low = np.maximum(first, second), np.minimum(first, second)
    with np.errstate(over="ignore"):  # the difference is right modulo 2^64
        return np.asarray((high.view(np.uint64) - low.view(np.uint64)).astype(np.float64))


def cosine(left: Array, right: Array) -> float:
    """Return the cosine of the angle between two arrays, flattened; NaN if one is zero."""
    a, b = _unit(left), _unit(right)
    return float(np.clip(np.dot(a, b), -1.0, 1.0))


def _unit(values: Array) -> Float64:
    flat = np.asarray(values, dtype=np.float64).ravel()
    largest = np.max(np.abs(flat), initial=0.0)
    with np.errstate(all="ignore"):
        scaled = flat / largest
        return np.asarray(scaled / np.sqrt(np.dot(scaled, scaled)))


def _infinity(values: Float64, precision: DTypeLike) -> Array:
    """Return the infinities that values are in a dtype, with zero in place of all others."""
    with np.errstate(over="ignore"):
        rounded = np.asarray(values, dtype=precision)
    return np.where(np.isinf(rounded), rounded, np.zeros((), precision))


def difference_of(left: Array, right: Array) -> Float64:
    """Return |left − right|, elementwise."""
    left, right = np.asarray(left), np.asarray(right)
    kinds = {left.dtype.kind, right.dtype.kind}
    if kinds == {"i"}:
        return _gap(*np.broadcast_arrays(left.astype(np.int64), right.astype(np.int64)))
    if "i" in kinds and max(_largest(left), _largest(right)) >= EXACT_INTEGERS:
        return np.asarray(np.frompyfunc(_exact_gap, 2, 1)(left, right)).astype(np.float64)
    first, second = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(first == second, 0.0, np.abs(first - second))


def _largest(values: Array) -> float:
    """Return the largest magnitude of integers, 0 for floats, which are exact in float64."""
    if values.dtype.kind != "i" or not values.size:
        return 0.0
    return max(abs(float(values.max())), abs(float(values.min())))


def _exact_gap(left: int | float, right: int | float) -> float:
    if not (math.isfinite(left) and math.isfinite(right)):
        return 0.0 if left == right else abs(float(left) - float(right))
    return float(abs(Fraction(left) - Fraction(right)))


def distances(left: Array, right: Array, allowed: Tolerance) -> Float64:
    """Return elementwise distances in the unit of ``absolute``, ``relative`` or ``ulp``."""
    left, right = np.asarray(left), np.asarray(right)
    difference = difference_of(left, right)
    if allowed.kind == "absolute":
        return difference
    first, second = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    if allowed.kind == "relative":
        with np.errstate(all="ignore"):
            scale = np.maximum(np.abs(first), np.abs(second))
            return np.where(difference == 0, 0.0, difference / scale)
    if left.dtype.kind == right.dtype.kind == "i":
        return difference
    precision = np.dtype(allowed.precision)
    floor = min(ULP_FLOOR, float(np.finfo(precision).tiny))
    below = difference <= (floor if allowed.floor is None else allowed.floor)
    distance = np.where(below, 0.0, ulp_distance(first, second, precision))
    # The largest float and infinity are neighbours by their bits, and nothing else.
    same = _infinity(first, precision) == _infinity(second, precision)
    return np.where(same, distance, np.inf)


def closeness(
    left: Array,
    right: Array,
    *,
    tolerance: float,
    kind: ToleranceKind = "absolute",
    floor: float | None = None,
    noise: Array | None = None,
    precision: DTypeLike = np.float32,
) -> Closeness:
    """Compare two arrays of one shape (or one of them a scalar).

    ``floor``: absolute differences up to it count as zero ulp. ``precision``: whose values ``ulp``
    counts. ``noise``: what a plain evaluation
    of the definition in the subject's own precision gets wrong (see ``noise_of``), for the kind
    ``noise``; ``tolerance`` is then a factor.
    """
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape and left.ndim and right.ndim:
        return Closeness(
            False, max(left.size, right.size), np.inf, None,
            reason=f"shapes {list(left.shape)} and {list(right.shape)} differ",
        )  # fmt: skip
    shape = np.broadcast_shapes(left.shape, right.shape)
    size = int(np.prod(shape, dtype=np.int64))
    if size == 0 or (kind == "cosine" and size == 1):  # one number has no angle to another
        return Closeness(True, 0, 0.0, None)
    if kind == "cosine":
        same = np.array_equal(left, right)
        angle = 0.0 if same else 1.0 - cosine(*np.broadcast_arrays(left, right))
        return Closeness(bool(angle <= tolerance), size, angle, None)
    if kind == "noise":
        if noise is None:
            raise ValueError("the tolerance kind 'noise' needs a baseline")
        return _within_noise(left, right, np.asarray(noise, dtype=np.float64), tolerance)
    apart = distances(left, right, Tolerance(tolerance, kind, floor, precision))
    apart = np.broadcast_to(apart, shape)
    worst = _worst(apart)
    return Closeness(bool(np.all(apart <= tolerance)), size, float(apart[worst]), worst)


def _worst(apart: Float64) -> tuple[int, ...]:
    flat = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
    return tuple(int(i) for i in np.unravel_index(flat, apart.shape))


def noise_of(plain: Array, exact: Array, precision: DTypeLike = np.float32) -> Float64:
    """Return the error scale of a plain evaluation, elementwise, NaN where it has no correct digit.

    The scale is the largest error within a row (the last axis), since a lucky element says nothing
    of its neighbours, and at least the rounding of the exact element itself.
    """
    return noise_scale(difference_of(plain, exact), exact, precision)


def noise_scale(
    error: Float64, exact: Array, precision: DTypeLike = np.float32, *, rounded: bool = True
) -> Float64:
    """Return the error scale of ``noise_of`` where the errors of the elements are known.

    What is not ``rounded``, an integer, may have no other error.
    """
    exact = np.asarray(exact, dtype=np.float64)
    error, exact = np.broadcast_arrays(error, exact)
    size = np.abs(exact)
    if exact.ndim:
        error = np.broadcast_to(np.max(error, axis=-1, keepdims=True, initial=0.0), error.shape)
        largest = np.max(size, axis=-1, keepdims=True, initial=0.0)
    else:
        largest = size
    limits = np.finfo(np.dtype(precision))
    rounding = np.maximum(size * (float(limits.eps) / 2), float(limits.smallest_subnormal))
    rounding = rounding if rounded else np.zeros_like(rounding)
    hopeless = ~(error < largest) & (error > rounding)
    return np.where(hopeless, np.nan, np.maximum(error, rounding))


def _within_noise(left: Array, right: Array, noise: Float64, factor: float) -> Closeness:
    difference = difference_of(left, right)
    difference, noise = np.broadcast_arrays(difference, noise)
    judged = ~np.isnan(noise)
    compared = int(np.count_nonzero(judged))
    ill = difference.size - compared
    if not compared:
        return Closeness(True, 0, 0.0, None, ill, "ill-conditioned: no correct digit to compare")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(judged, np.where(difference == 0, 0.0, difference / noise), 0.0)
    worst = _worst(ratio)
    return Closeness(bool(np.all(ratio <= factor)), compared, float(ratio[worst]), worst, ill)
