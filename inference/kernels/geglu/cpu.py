"""GeGLU's elementwise part in float32: GELU's tanh form and product in one pass over memory.

x/2 · (1 + tanh(u)) = x · sigmoid(2u) needs one exponential and cancels nowhere. Its argument grows
with x³, so a float32 argument would lose digits of the result: it is a sum of two floats here.
"""

from __future__ import annotations

import math

import numpy as np

from inference.kernels import geglu as room
from inference.kernels.arguments import Float32, elementwise
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.exponential import LOWEST, exp_factors

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_LINEAR = 2.0 * math.sqrt(2.0 / math.pi)
_CUBIC = _LINEAR * 0.044715
_FLAT = np.float32(-12.0)  # below it 2u < −110, and the result is −0 whatever x is


@room.geglu.implementation("cpu")
def geglu(gate: Float32, up: Float32) -> Float32:
    """Go through the elements in compiled code."""
    return elementwise(geglu_values, gate, up)


@room.gelu.implementation("cpu")
def gelu(x: Float32) -> Float32:
    """Go through the elements in compiled code."""
    return elementwise(_gelu, x)


@njit(cache=True, nogil=True, error_model="numpy")
def geglu_values(gate, up, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``out`` with gelu(gate) · up, element by element; for compiled callers."""
    for i in range(gate.size):
        out[i] = gelu_scalar(gate[i]) * up[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _gelu(x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(x.size):
        out[i] = gelu_scalar(x[i])


@njit(inline="always", error_model="numpy")
def gelu_scalar(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return gelu of one float32; branch-free, for compiled callers whose loops must vectorize."""
    wide = np.float64(x)
    decay = -abs(_LINEAR * wide + _CUBIC * wide * wide * wide)
    decay = np.float64(LOWEST) if decay < LOWEST else decay
    high = np.float32(decay)
    a, b = exp_factors(high, np.float32(decay - np.float64(high)))
    clamped = _FLAT if x < _FLAT else x
    numerator = clamped * a * b if x < _ZERO else x
    return numerator / (_ONE + a * b)
