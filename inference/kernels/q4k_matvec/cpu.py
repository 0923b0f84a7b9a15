"""Q4_K products on the CPU: the Q4_K entry of `inference.kernels.qmatmul` under its own name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.kernels.qmatmul import qmatmul
from inference.quant.types import GGMLType


def q4k_matvec(
    raw: NDArray[np.uint8], rows: int, cols: int, x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``x @ W.T`` for a Q4_K weight W [rows, cols].

    Shapes:
        raw: the bytes of W's super-blocks, row by row
        x: [batch, cols] float32
        returns: [batch, rows] float32
    Raises:
        ValueError: shapes or dtypes do not fit.
    """
    return qmatmul(raw, GGMLType.Q4_K, rows, cols, x)
