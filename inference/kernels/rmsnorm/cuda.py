"""RMSNorm on an NVIDIA GPU, in float32."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from inference.kernels.cuda.device import (
    CudaKernel,
    check_float32,
    like_input,
    require_device,
    to_device,
)
from inference.kernels.cuda.launch import LaunchDimensions, rows_launch

KERNEL = CudaKernel("rmsnorm", Path(__file__).with_name("kernel.cu"))
THREADS = 256


def rmsnorm(x: Any, weight: Any, eps: float) -> Any:
    """Scale the last axis to unit root mean square, then by ``weight``.

    Shapes:
        x: [..., n] float32; weight: [n] float32; NumPy or CuPy arrays
        returns: [..., n] float32, of the kind of x
    Raises:
        DeviceUnavailableError: no CuPy or no device.
        TypeError: x or weight is not float32.
        ValueError: weight does not fit x's last axis, the axis is empty, or eps is not positive.
    Contract: contracts/kernels/rmsnorm-kernel-v1.yaml
    """
    check_float32("rmsnorm", x=x, weight=weight)
    n = x.shape[-1]
    if weight.shape != (n,):
        raise ValueError(f"rmsnorm: weight has shape {weight.shape}, but x.shape[-1] is {n}")
    if n == 0:
        raise ValueError(f"rmsnorm: x has shape {x.shape}; its last axis is empty")
    if not 0.0 < eps < math.inf:
        raise ValueError(f"rmsnorm: eps is {eps}, but must be positive and finite")
    cupy = require_device()
    x_device, weight_device = to_device(cupy, x), to_device(cupy, weight)
    y = cupy.empty_like(x_device)
    rows = x.size // n
    if rows:
        arguments = [x_device, weight_device, y, rows, n, float(eps)]
        KERNEL.launch(dimensions(rows), arguments)
    return like_input(y, x)


def dimensions(rows: int) -> LaunchDimensions:
    """Return the launch geometry: one block per row."""
    return rows_launch(THREADS, rows, THREADS)
