"""SwiGLU's elementwise part in float32: SiLU and product fused in one pass over memory."""

from __future__ import annotations

from inference.kernels import swiglu as room
from inference.kernels.arguments import Float32, elementwise
from inference.kernels.cpu.compiled import njit
from inference.kernels.silu.cpu import silu_scalar


@room.swiglu.implementation("cpu")
def swiglu(gate: Float32, up: Float32) -> Float32:
    """Go through the elements in compiled code."""
    return elementwise(swiglu_values, gate, up)


@njit(cache=True, nogil=True, error_model="numpy")
def swiglu_values(gate, up, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``out`` with silu(gate) · up, element by element; for compiled callers."""
    for i in range(gate.size):
        out[i] = silu_scalar(gate[i]) * up[i]
