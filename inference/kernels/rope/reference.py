"""RoPE: each pair (x_a, x_b) of a head turns by the angle m · θ_k, θ_k = theta^(−2k/d).

Two layouts name the pair k: (2k, 2k + 1) as in the paper, and (k, k + d/2), "NeoX", as in most
checkpoints of today. A model needs the one that it was trained with.
"""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.nested import plain
from pytest_contracts.binding import contract


@contract("rope-kernel-v1", equation="rope", implementation="reference")
def rope(x: Any, positions: Any, theta: float, neox: bool = True) -> list[list[list[float]]]:
    """Rotate every head of every token by the token's position.

    Shapes:
        x: [tokens, heads, head_dim], head_dim even; positions: [tokens]
        returns: nested lists of floats of x's shape
    Source: Su et al. 2021, equation 34.
    """
    return [
        [rotate_head(head, position, theta, neox) for head in token]
        for token, position in zip(plain(x), plain(positions), strict=True)
    ]


def rotate_head(x: Any, position: float, theta: float, neox: bool) -> list[float]:
    """Rotate the pairs of one head."""
    d = len(x)
    y = list(x)
    for k in range(d // 2):
        a, b = (k, k + d // 2) if neox else (2 * k, 2 * k + 1)
        angle = position * theta ** (-2 * k / d)
        cos, sin = math.cos(angle), math.sin(angle)
        y[a] = x[a] * cos - x[b] * sin
        y[b] = x[a] * sin + x[b] * cos
    return y
