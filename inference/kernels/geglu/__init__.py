"""GeGLU: the gated product of a feed-forward layer, gelu(gate) · up, with GELU's tanh form."""

from __future__ import annotations

from inference.kernels.arguments import Float32, same_shape
from inference.kernels.signature import Run, signature

__all__ = ["geglu", "gelu"]


@signature("geglu-kernel-v1")
def geglu(run: Run, gate: Float32, up: Float32) -> Float32:
    """Multiply ``up`` by the GELU of ``gate``, element by element.

    Shapes:
        gate, up: [...] float32, the same shape
        returns: [...] float32
    Raises:
        TypeError: gate or up is not a float32 array.
        ValueError: their shapes differ.
    Contract: contracts/kernels/geglu-kernel-v1.yaml
    """
    return run(*same_shape("geglu", gate=gate, up=up))


@signature("geglu-kernel-v1")
def gelu(run: Run, x: Float32) -> Float32:
    """Return GELU of every element, in the tanh form.

    Shapes:
        x: [...] float32
        returns: [...] float32
    Raises:
        TypeError: x is not a float32 array.
    Contract: contracts/kernels/geglu-kernel-v1.yaml
    """
    return run(*same_shape("gelu", x=x))
