"""SiLU in float32: x / (1 + e) for x ≥ 0 and x·e / (1 + e) below, where e = exp(−|x|) ≤ 1.

No input overflows. The limits are taken at the infinities: silu(+∞) = +∞, silu(−∞) = −0. NaN stays.
"""

from __future__ import annotations

import numpy as np

from inference.kernels import silu as room
from inference.kernels.arguments import Float32, elementwise
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.exponential import LOWEST, exp_factors

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


@room.silu.implementation("cpu")
def silu(x: Float32) -> Float32:
    """Go through the elements in compiled code."""
    return elementwise(_silu, x)


@njit(cache=True, nogil=True, error_model="numpy")
def _silu(x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(x.size):
        out[i] = silu_scalar(x[i])


@njit(inline="always", error_model="numpy")
def silu_scalar(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return silu of one float32; branch-free, for compiled callers whose loops must vectorize."""
    magnitude = abs(x)
    a, b = exp_factors(LOWEST if magnitude > -LOWEST else -magnitude, _ZERO)
    # Below LOWEST the product underflows to −0 whatever x is, so clamping it there changes nothing
    # but −∞ · 0. Multiplying x before the last factor rounds subnormal results only once.
    clamped = LOWEST if x < LOWEST else x
    numerator = clamped * a * b if x < _ZERO else x
    return numerator / (_ONE + a * b)
