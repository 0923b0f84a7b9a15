"""RoPE: rotary position embedding, in the layout of the paper or of NeoX.

On the CPU it is ``rope_rotate`` by a ``rope_table`` of ``rope_frequencies``: the table can be built
once for many tensors, and from frequencies that a model scales.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.rope.scaling import interpolated, interpolated_by_parts
from inference.kernels.signature import Run, signature

__all__ = ["check_angles", "check_positions", "interpolated", "interpolated_by_parts", "rope"]


@signature("rope-kernel-v1")
def rope(run: Run, x: Float32, positions: ArrayLike, theta: float, neox: bool = True) -> Float32:
    """Rotate every head of every token by the token's position.

    Shapes:
        x: [tokens, heads, head_dim] float32, head_dim even; positions: [tokens] integers
        returns: [tokens, heads, head_dim] float32
    Raises:
        TypeError: x is not a float32 array.
        ValueError: head_dim is odd, theta is not positive, or there is not one position per token.
    Contract: contracts/kernels/rope-kernel-v1.yaml
    """
    x = float32_array("rope", "x", x, ndim=3)
    check_angles(x.shape[-1], theta)
    check_positions(positions)
    same_size("rope", "the number of positions", np.size(positions), "x.shape[0]", x.shape[0])
    return run(x, positions, theta, neox)


def check_angles(head_dim: int, theta: float) -> None:
    """Raise ValueError unless a head of that size has pairs, and theta gives them angles."""
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"rope: head_dim is {head_dim}, but must be even and positive")
    if not 0.0 < theta < np.inf:
        raise ValueError(f"rope: theta is {theta}, but must be positive and finite")


def check_positions(positions: ArrayLike) -> None:
    """Raise ValueError unless there is one axis of positions."""
    if np.ndim(positions) != 1:
        raise ValueError(f"rope: positions have shape {np.shape(positions)}, but 1 axis is needed")
