"""SwiGLU's elementwise part in float32: SiLU and product fused in one pass over memory."""

from __future__ import annotations

from numba import njit

from inference.kernels.arguments import Float32, elementwise
from inference.kernels.silu.cpu import silu_scalar
from pytest_contracts.binding import contract


@contract("swiglu-kernel-v1", equation="swiglu", implementation="cpu")
def swiglu(gate: Float32, up: Float32) -> Float32:
    """Multiply ``up`` by the SiLU of ``gate``, element by element.

    Shapes:
        gate, up: [...] float32, the same shape
        returns: [...] float32
    Raises:
        TypeError: gate or up is not a float32 array.
        ValueError: their shapes differ.
    Contract: contracts/kernels/swiglu-kernel-v1.yaml
    """
    return elementwise("swiglu", swiglu_values, gate=gate, up=up)


@njit(cache=True, nogil=True, error_model="numpy")
def swiglu_values(gate, up, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``out`` with silu(gate) · up, element by element; for compiled callers."""
    for i in range(gate.size):
        out[i] = silu_scalar(gate[i]) * up[i]
