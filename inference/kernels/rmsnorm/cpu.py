"""RMSNorm over the last axis: float32 in and out, sum of squares and scale in float64.

In float64 no square of a float32 overflows, and the vectorized sum (in as many partial sums as the
machine has lanes) has errors far under float32's last place: the result is rounded once.
"""

from __future__ import annotations

import math

import numpy as np

from inference.kernels import rmsnorm as room
from inference.kernels.arguments import Float32, rows
from inference.kernels.cpu.compiled import njit


@room.rmsnorm.implementation("cpu")
def rmsnorm(x: Float32, weight: Float32, eps: float) -> Float32:
    """Go through the rows in compiled code."""
    out = np.empty(x.shape, np.float32)
    rmsnorm_rows(rows(x), np.ascontiguousarray(weight), eps, out.reshape(-1, x.shape[-1]))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def rmsnorm_rows(x, weight, eps, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``out`` with the norm of every row; for compiled callers."""
    for row in range(x.shape[0]):
        scale = 1.0 / math.sqrt(_sum_of_squares(x[row]) / x.shape[1] + eps)
        for i in range(x.shape[1]):
            out[row, i] = np.float32(np.float64(x[row, i]) * scale * np.float64(weight[i]))


@njit(fastmath={"reassoc"}, error_model="numpy")
def _sum_of_squares(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = 0.0
    for i in range(x.size):
        value = np.float64(x[i])
        total += value * value
    return total
