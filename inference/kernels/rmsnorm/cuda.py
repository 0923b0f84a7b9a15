"""RMSNorm on an NVIDIA GPU, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference.kernels import rmsnorm as room
from inference.kernels.cuda.device import CudaKernel, like_input, require_device, to_device
from inference.kernels.cuda.launch import LaunchDimensions, rows_launch

KERNEL = CudaKernel("rmsnorm", Path(__file__).with_name("kernel.cu"))
THREADS = 256


@room.rmsnorm.implementation("cuda")
def rmsnorm(x: Any, weight: Any, eps: float) -> Any:
    """Launch a block per row; the result is of the kind of x, a NumPy or a CuPy array."""
    cupy = require_device()
    x_device, weight_device = to_device(cupy, x), to_device(cupy, weight)
    y = cupy.empty_like(x_device)
    n = x.shape[-1]
    rows = x.size // n
    if rows:
        arguments = [x_device, weight_device, y, rows, n, eps]
        KERNEL.launch(dimensions(rows), arguments)
    return like_input(y, x)


def dimensions(rows: int) -> LaunchDimensions:
    """Return the launch geometry: one block per row."""
    return rows_launch(THREADS, rows, THREADS)
