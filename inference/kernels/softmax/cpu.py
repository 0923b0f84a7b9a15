"""Softmax over the last axis in float32.

x − max is kept as a rounded difference and its rounding error, so that far from the maximum the
exponential is as accurate as near it; the sum is accumulated in float64.
"""

from __future__ import annotations

import numpy as np

from inference.kernels import softmax as room
from inference.kernels.arguments import Float32, rows
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.exponential import LOWEST, exp_factors

_MAGNITUDE = np.int32(0x7FFFFFFF)
_SIGN_SHIFT = np.int32(31)
_ZERO = np.float32(0.0)


@room.softmax.implementation("cpu")
def softmax(x: Float32) -> Float32:
    """Go through the rows in compiled code."""
    out = np.empty(x.shape, np.float32)
    _softmax_rows(rows(x), out.reshape(-1, x.shape[-1]))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def softmax_row(x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the softmax of one contiguous float32 row into ``out``; for compiled callers."""
    largest = _largest(x)
    _exp_shifted(x, largest, out)
    total = np.float32(_total(out))
    for i in range(out.size):
        out[i] = out[i] / total


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax_rows(x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for row in range(x.shape[0]):
        softmax_row(x[row], out[row])


@njit(inline="always", error_model="numpy")
def _largest(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    # Floats in sign-magnitude order as integers: an integer maximum vectorizes, a float one with
    # NaN semantics does not. A positive NaN is the largest of all and spoils the row, as it must.
    best = np.int32(-0x80000000)
    for i in range(x.size):
        bits = np.float32(x[i]).view(np.int32)
        ordered = np.int32(bits ^ ((bits >> _SIGN_SHIFT) & _MAGNITUDE))
        best = ordered if ordered > best else best
    return np.int32(best ^ ((best >> _SIGN_SHIFT) & _MAGNITUDE)).view(np.float32)


@njit(inline="always", error_model="numpy")
def _exp_shifted(x, largest, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(x.size):
        difference = x[i] - largest
        subtracted = x[i] - difference
        lost = (x[i] - (difference + subtracted)) + (subtracted - largest)
        inside = difference >= LOWEST
        a, b = exp_factors(difference if inside else LOWEST, lost if inside else _ZERO)
        value = a * b
        out[i] = value if difference == difference else difference


@njit(fastmath={"reassoc"}, error_model="numpy")
def _total(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total
