"""SwiGLU's elementwise part in float32: SiLU and product fused in one pass over memory."""

from __future__ import annotations

import numpy as np
from numba import njit

from inference.kernels.arguments import Float32, float32_array
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
    gate = float32_array("swiglu", "gate", gate)
    up = float32_array("swiglu", "up", up)
    if gate.shape != up.shape:
        raise ValueError(f"swiglu: gate has shape {gate.shape}, but up has {up.shape}")
    out = np.empty(gate.shape, np.float32)
    _swiglu(
        np.ascontiguousarray(gate).reshape(-1),
        np.ascontiguousarray(up).reshape(-1),
        out.reshape(-1),
    )
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _swiglu(gate, up, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(gate.size):
        out[i] = silu_scalar(gate[i]) * up[i]
