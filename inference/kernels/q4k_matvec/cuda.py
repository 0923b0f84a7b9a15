"""Q4_K products on an NVIDIA GPU: integer dot products, activations rounded to int8 on the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.kernels.cuda.device import CudaKernel, require_device, to_device
from inference.kernels.cuda.launch import MAX_GRID_YZ, LaunchDimensions, blocks_for
from inference.kernels.qmatmul import quantize_activations
from inference.quant.types import GGMLType, row_bytes

KERNEL = CudaKernel("q4k_matvec", Path(__file__).with_name("kernel.cu"))
WARP = 32
ROWS_PER_BLOCK = 4


def q4k_matvec(raw: Any, rows: int, cols: int, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``x @ W.T`` for a Q4_K weight W [rows, cols]; cols is a multiple of 256.

    Shapes:
        raw: the bytes of W's super-blocks, row by row; NumPy or CuPy array
        x: [batch, cols] float32
        returns: [batch, rows] float32
    Raises:
        DeviceUnavailableError: no CuPy or no device.
        ValueError: shapes or dtypes do not fit.
    """
    if rows <= 0 or cols <= 0 or cols % 256:
        raise ValueError(f"q4k_matvec: W is {rows}×{cols}, but cols must be a multiple of 256")
    needed = rows * row_bytes(GGMLType.Q4_K, cols)
    if raw.dtype != np.uint8 or raw.size != needed:
        raise ValueError(
            f"q4k_matvec: {rows}×{cols} takes {needed} bytes, got {raw.size} values of {raw.dtype}"
        )
    if x.ndim != 2 or x.shape[1] != cols:
        raise ValueError(f"q4k_matvec: weight is {rows}×{cols}, but x has shape {x.shape}")
    levels, scales = quantize_activations(x)
    cupy = require_device()
    batch = len(x)
    y = cupy.empty((batch, rows), cupy.float32)
    if batch:
        device_arrays = [to_device(cupy, array) for array in (raw, levels, scales)]
        KERNEL.launch(dimensions(rows, batch), [*device_arrays, y, rows, cols // 256, batch])
    result: NDArray[np.float32] = y.get()
    return result


def dimensions(rows: int, batch: int) -> LaunchDimensions:
    """Return the launch geometry: a warp per row of W, a grid row per row of x."""
    grid = (blocks_for(rows, ROWS_PER_BLOCK), min(batch, MAX_GRID_YZ), 1)
    return LaunchDimensions(grid, (WARP, ROWS_PER_BLOCK, 1))
