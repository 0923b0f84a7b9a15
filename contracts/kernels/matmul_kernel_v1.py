"""Procedures of matmul-kernel-v1: the engine's own integer dot product against its error bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inference.kernels.qmatmul import qmatmul, quantize_activations
from inference.quant import dequantize, quantize
from inference.quant.types import GGMLType

HALF_STEP = 0.5
FLOAT16_ROUNDING = 2.0**-11
FLOAT16_SPACING_AT_ZERO = 2.0**-24
FLOAT32_SMALLEST_NORMAL = 2.0**-126


def quantized_dot_within_rounding(
    a: NDArray[np.float32], b: NDArray[np.float32], compared: Callable[..., None]
) -> None:
    """The dot product of int8 blocks is that of the numbers they stand for, and near the floats'.

    The weight is Q8_0, whose scale is a float16; the activation's scale is a float32.
    """
    n = a.size
    raw = quantize(a[np.newaxis], GGMLType.Q8_0)
    computed = float(qmatmul(raw, GGMLType.Q8_0, 1, n, b[np.newaxis])[0, 0])

    weight = dequantize(raw, GGMLType.Q8_0, (1, n)).ravel().astype(np.float64)
    integers, scales = quantize_activations(b[np.newaxis])
    activation = (integers.reshape(-1, 32) * scales.reshape(-1, 1).astype(np.float64)).ravel()
    terms = weight * activation
    assert abs(computed - terms.sum()) <= 1e-6 * np.abs(terms).sum()

    scale_a, scale_b = float(np.abs(a).max()) / 127, float(np.abs(b).max()) / 127
    off_a = HALF_STEP * scale_a + 127 * max(FLOAT16_ROUNDING * scale_a, FLOAT16_SPACING_AT_ZERO / 2)
    # A block of activations whose scale would be subnormal is taken as zero.
    off_b = HALF_STEP * scale_b * (1 + 1e-5) + 127 * FLOAT32_SMALLEST_NORMAL
    bound = n * (off_a * float(np.abs(b).max()) + off_b * float(np.abs(a).max()) + off_a * off_b)
    exact = float(np.dot(a.astype(np.float64), b.astype(np.float64)))
    assert abs(computed - exact) <= bound + 1e-6 * np.abs(terms).sum()
    compared(2, what="dot products")
