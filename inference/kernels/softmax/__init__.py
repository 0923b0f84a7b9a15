"""Softmax: scores into weights that are positive and sum to one."""

from __future__ import annotations

from inference.kernels.arguments import Float32, float32_array
from inference.kernels.signature import Run, signature

__all__ = ["softmax"]


@signature("softmax-kernel-v1")
def softmax(run: Run, x: Float32) -> Float32:
    """Normalize the exponentials along the last axis.

    A row with NaN or +∞, or of −∞ only, has no softmax: it becomes NaN.

    Shapes:
        x: [..., n] float32, n ≥ 1
        returns: [..., n] float32
    Raises:
        TypeError: x is not a float32 array.
        ValueError: x has no axis, or its last axis is empty.
    Contract: contracts/kernels/softmax-kernel-v1.yaml
    """
    x = float32_array("softmax", "x", x, min_ndim=1)
    if x.shape[-1] == 0:
        raise ValueError(f"softmax: x has shape {x.shape}; its last axis is empty")
    return run(x)
