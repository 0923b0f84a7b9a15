"""Distances between numbers: absolute, relative, ulp, cosine, and against a noise baseline.

Every distance is compared as ``distance <= tolerance``, so that NaN never passes; equal values,
infinities included, are at distance zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pytest_contracts.formula.values import Array
from pytest_contracts.tolerance import ToleranceKind

Float64 = NDArray[np.float64]

ULP_FLOOR = float(np.finfo(np.float32).tiny)


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


def ulp_distance(left: Array, right: Array) -> Float64:
    """Return the number of float32 values between the two, elementwise; NaN where one is NaN."""
    first, second = _ordered_bits(left), _ordered_bits(right)
    distance = np.abs(first - second).astype(np.float64)
    return np.where(np.isnan(left) | np.isnan(right), np.nan, distance)


def _ordered_bits(values: Array) -> NDArray[np.int64]:
    with np.errstate(over="ignore"):
        bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    # Sign-magnitude to ordered integers: neighbours differ by one, and both zeros are zero.
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


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


def _infinity(values: Float64) -> NDArray[np.float32]:
    """Return the infinities of the float32 values, with zero in place of all others."""
    with np.errstate(over="ignore"):
        rounded = np.asarray(values, dtype=np.float32)
    return np.where(np.isinf(rounded), rounded, np.float32(0))


def _difference(left: Float64, right: Float64) -> Float64:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(left == right, 0.0, np.abs(left - right))


def _distances(left: Array, right: Array, kind: str, floor: float | None) -> Float64:
    first, second = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    difference = _difference(first, second)
    if kind == "relative":
        with np.errstate(all="ignore"):
            scale = np.maximum(np.abs(first), np.abs(second))
            return np.where(difference == 0, 0.0, difference / scale)
    if kind == "ulp":
        below = difference <= (ULP_FLOOR if floor is None else floor)
        distance = np.where(below, 0.0, ulp_distance(first, second))
        # The largest float32 and infinity are neighbours by their bits, and nothing else.
        return np.where(_infinity(first) == _infinity(second), distance, np.inf)
    return difference


def closeness(
    left: Array,
    right: Array,
    *,
    tolerance: float,
    kind: ToleranceKind = "absolute",
    floor: float | None = None,
    noise: Array | None = None,
) -> Closeness:
    """Compare two arrays of one shape (or one of them a scalar).

    ``floor``: absolute differences up to it count as zero ulp. ``noise``: what a plain evaluation
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
        apart = 0.0 if same else 1.0 - cosine(*np.broadcast_arrays(left, right))
        return Closeness(bool(apart <= tolerance), size, apart, None)
    if kind == "noise":
        if noise is None:
            raise ValueError("the tolerance kind 'noise' needs a baseline")
        return _within_noise(left, right, np.asarray(noise, dtype=np.float64), tolerance)
    distances = np.broadcast_to(_distances(left, right, kind, floor), shape)
    worst = _worst(distances)
    return Closeness(bool(np.all(distances <= tolerance)), size, float(distances[worst]), worst)


def _worst(distances: Float64) -> tuple[int, ...]:
    flat = int(np.argmax(np.where(np.isnan(distances), np.inf, distances)))
    return tuple(int(i) for i in np.unravel_index(flat, distances.shape))


def noise_of(plain: Array, exact: Array, precision: DTypeLike = np.float32) -> Float64:
    """Return the error scale of a plain evaluation, elementwise, NaN where it has no correct digit.

    The scale is the largest error within a row (the last axis), since a lucky element says nothing
    of its neighbours, and at least the rounding of the exact element itself.
    """
    plain, exact = np.asarray(plain, dtype=np.float64), np.asarray(exact, dtype=np.float64)
    error = _difference(plain, exact)
    size = np.abs(exact)
    if exact.ndim:
        error = np.broadcast_to(np.max(error, axis=-1, keepdims=True, initial=0.0), error.shape)
        largest = np.max(size, axis=-1, keepdims=True, initial=0.0)
    else:
        largest = size
    limits = np.finfo(np.dtype(precision))
    rounding = np.maximum(size * (float(limits.eps) / 2), float(limits.smallest_subnormal))
    hopeless = ~(error < largest) & (error > rounding)
    return np.where(hopeless, np.nan, np.maximum(error, rounding))


def _within_noise(left: Array, right: Array, noise: Float64, factor: float) -> Closeness:
    difference = _difference(np.asarray(left, np.float64), np.asarray(right, np.float64))
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
