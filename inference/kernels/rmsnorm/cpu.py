"""RMSNorm over the last axis: float32 in and out, sum of squares and scale in float64.

In float64 no square of a float32 overflows, and the vectorized sum (in as many partial sums as the
machine has lanes) has errors far under float32's last place: the result is rounded once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from inference.kernels.arguments import Float32, float32_array, rows, same_size
from pytest_contracts.binding import contract


@contract("rmsnorm-kernel-v1", equation="rmsnorm", implementation="cpu")
def rmsnorm(x: Float32, weight: Float32, eps: float) -> Float32:
    """Scale the last axis to unit root mean square, then by ``weight``.

    Shapes:
        x: [..., n] float32; weight: [n] float32
        returns: [..., n] float32
    Raises:
        TypeError: x or weight is not a float32 array.
        ValueError: weight does not fit x's last axis, the axis is empty, or eps is not positive.
    Contract: contracts/kernels/rmsnorm-kernel-v1.yaml
    """
    x = float32_array("rmsnorm", "x", x, min_ndim=1)
    weight = float32_array("rmsnorm", "weight", weight, ndim=1)
    same_size("rmsnorm", "weight.shape[0]", weight.shape[0], "x.shape[-1]", x.shape[-1])
    if x.shape[-1] == 0:
        raise ValueError(f"rmsnorm: x has shape {x.shape}; its last axis is empty")
    if not 0.0 < eps < math.inf:
        raise ValueError(f"rmsnorm: eps is {eps}, but must be positive and finite")
    out = np.empty(x.shape, np.float32)
    rmsnorm_rows(rows(x), np.ascontiguousarray(weight), float(eps), out.reshape(-1, x.shape[-1]))
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
