"""SiLU (swish): an activation, x · sigmoid(x)."""

from __future__ import annotations

from inference.kernels.arguments import Float32, same_shape
from inference.kernels.signature import Run, signature

__all__ = ["silu"]


@signature("silu-kernel-v1")
def silu(run: Run, x: Float32) -> Float32:
    """Multiply every element by its own sigmoid.

    Shapes:
        x: [...] float32
        returns: [...] float32
    Raises:
        TypeError: x is not a float32 array.
    Contract: contracts/kernels/silu-kernel-v1.yaml
    """
    return run(*same_shape("silu", x=x))
