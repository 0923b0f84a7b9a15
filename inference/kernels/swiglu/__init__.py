"""SwiGLU: the gated product of a feed-forward layer, silu(gate) · up."""

from __future__ import annotations

from inference.kernels.arguments import Float32, same_shape
from inference.kernels.signature import Run, signature

__all__ = ["swiglu"]


@signature("swiglu-kernel-v1")
def swiglu(run: Run, gate: Float32, up: Float32) -> Float32:
    """Multiply ``up`` by the SiLU of ``gate``, element by element.

    Shapes:
        gate, up: [...] float32, the same shape
        returns: [...] float32
    Raises:
        TypeError: gate or up is not a float32 array.
        ValueError: their shapes differ.
    Contract: contracts/kernels/swiglu-kernel-v1.yaml
    """
    return run(*same_shape("swiglu", gate=gate, up=up))
