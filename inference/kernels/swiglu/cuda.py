"""SwiGLU's elementwise part on an NVIDIA GPU, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference.kernels import swiglu as room
from inference.kernels.cuda.device import CudaKernel, like_input, require_device, to_device
from inference.kernels.cuda.launch import LaunchDimensions, rows_launch

KERNEL = CudaKernel("swiglu", Path(__file__).with_name("kernel.cu"))
THREADS = 256


@room.swiglu.implementation("cuda")
def swiglu(gate: Any, up: Any) -> Any:
    """Launch a thread per element; the result is of the kind of gate, NumPy or CuPy."""
    cupy = require_device()
    gate_device, up_device = to_device(cupy, gate), to_device(cupy, up)
    y = cupy.empty_like(gate_device)
    if gate.size:
        n = gate.shape[-1] if gate.ndim else 1
        rows = gate.size // n
        KERNEL.launch(dimensions(n, rows), [gate_device, up_device, y, rows, n])
    return like_input(y, gate)


def dimensions(n: int, rows: int) -> LaunchDimensions:
    """Return the launch geometry: one thread per element of a row, rows along y."""
    return rows_launch(n, rows, THREADS)
