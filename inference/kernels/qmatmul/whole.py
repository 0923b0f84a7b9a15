"""The whole product on the CPU, for a weight that is used once: packed, multiplied, forgotten."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.kernels import qmatmul as room
from inference.kernels.qmatmul import multiply, pack, quantize_activations
from inference.quant.types import GGMLType, block_size


@room.qmatmul.implementation("cpu")
def qmatmul(
    raw: NDArray[np.uint8], dtype: GGMLType, rows: int, cols: int, x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Do what the engine does with a weight and a batch of activations."""
    weight = pack(raw, dtype, rows, cols)
    padding = -cols % block_size(dtype)
    if padding:
        x = np.pad(x, ((0, 0), (0, padding)))
    return multiply(weight, *quantize_activations(x))
