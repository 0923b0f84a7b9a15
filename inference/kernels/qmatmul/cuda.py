"""Products of quantized weights on an NVIDIA GPU: integer dot products, activations in int8.

``kernel.cu`` has one entry per type, ``KERNELS`` says which; activations are rounded on the host,
by the function that rounds them for the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import UnsupportedTypeError
from inference.kernels import qmatmul as room
from inference.kernels.cuda.device import CudaKernel, require_device, to_device
from inference.kernels.cuda.launch import MAX_GRID_YZ, LaunchDimensions, blocks_for
from inference.kernels.qmatmul import check_bytes, quantize_activations
from inference.quant.types import GGMLType, block_size

SOURCE = Path(__file__).with_name("kernel.cu")
KERNELS: Mapping[GGMLType, CudaKernel] = MappingProxyType(
    {
        GGMLType.Q4_K: CudaKernel("q4k_matvec", SOURCE),
    }
)
WARP = 32
ROWS_PER_BLOCK = 4


@room.qmatmul.implementation("cuda")
def qmatmul(
    raw: Any, dtype: GGMLType, rows: int, cols: int, x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Launch a warp per row; cols is a whole number of blocks, and raw may be a CuPy array."""
    if dtype not in KERNELS:
        known = ", ".join(sorted(entry.name for entry in KERNELS))
        raise UnsupportedTypeError(f"no CUDA kernel for {dtype!r}; supported: {known}")
    block = block_size(dtype)
    if rows <= 0 or cols <= 0 or cols % block:
        raise ValueError(f"qmatmul: W is {rows}×{cols}, but cols must be a multiple of {block}")
    check_bytes(raw, dtype, rows, cols)
    levels, scales = quantize_activations(x)
    cupy = require_device()
    batch = len(x)
    y = cupy.empty((batch, rows), cupy.float32)
    if batch:
        device_arrays = [to_device(cupy, array) for array in (raw, levels, scales)]
        arguments = [*device_arrays, y, rows, cols // block, batch]
        KERNELS[dtype].launch(dimensions(rows, batch), arguments)
    result: NDArray[np.float32] = y.get()
    return result


def dimensions(rows: int, batch: int) -> LaunchDimensions:
    """Return the launch geometry: a warp per row of W, a grid row per row of x."""
    grid = (blocks_for(rows, ROWS_PER_BLOCK), min(batch, MAX_GRID_YZ), 1)
    return LaunchDimensions(grid, (WARP, ROWS_PER_BLOCK, 1))
