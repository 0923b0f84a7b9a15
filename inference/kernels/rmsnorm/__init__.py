"""RMSNorm: each row divided by its root mean square, then scaled by learned weights."""

from __future__ import annotations

import math

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.signature import Run, signature

__all__ = ["rmsnorm"]


@signature("rmsnorm-kernel-v1")
def rmsnorm(run: Run, x: Float32, weight: Float32, eps: float) -> Float32:
    """Scale the last axis to unit root mean square, then by ``weight``.

    Shapes:
        x: [..., n] float32; weight: [n] float32
        returns: [..., n] float32
    Raises:
        TypeError: x or weight is not a float32 array.
        ValueError: weight does not fit x's last axis, the axis is empty, or eps is not positive.
    Contract: contracts/kernels/rmsnorm-kernel-v1.yaml
    """
    x = float32_array("rmsnorm", "x", x, min_ndim=1)
    weight = float32_array("rmsnorm", "weight", weight, ndim=1)
    same_size("rmsnorm", "weight.shape[0]", weight.shape[0], "x.shape[-1]", x.shape[-1])
    if x.shape[-1] == 0:
        raise ValueError(f"rmsnorm: x has shape {x.shape}; its last axis is empty")
    if not 0.0 < eps < math.inf:
        raise ValueError(f"rmsnorm: eps is {eps}, but must be positive and finite")
    return run(x, weight, float(eps))
