"""RoPE in float32; angles are float64, because position · θ in float32 loses the turn itself.

A decoder builds the table once per step and rotates every layer's q and k by it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.kernels import rope as room
from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.cpu.compiled import njit
from inference.kernels.rope import check_angles, check_positions


@room.rope.implementation("cpu")
def rope(x: Float32, positions: ArrayLike, theta: float, neox: bool = True) -> Float32:
    """Make the table of these positions, and rotate by it."""
    cos, sin = rope_table(positions, rope_frequencies(x.shape[-1], theta))
    return rope_rotate(x, cos, sin, neox)


@lru_cache(maxsize=32)
def rope_frequencies(head_dim: int, theta: float) -> NDArray[np.float64]:
    """Return θ_k = theta^(−2k/head_dim), in radians per token.

    Shapes:
        returns: [head_dim / 2] float64, read-only
    """
    check_angles(head_dim, theta)
    frequencies: NDArray[np.float64] = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    frequencies.flags.writeable = False
    return frequencies


def rope_table(positions: ArrayLike, frequencies: NDArray[np.float64]) -> tuple[Float32, Float32]:
    """Return the cosines and sines of every position's angles.

    Shapes:
        positions: [tokens]; frequencies: [half] float64
        returns: two [tokens, half] float32
    """
    check_positions(positions)
    angles = np.multiply.outer(np.asarray(positions, np.float64), frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rope_rotate(x: Float32, cos: Float32, sin: Float32, neox: bool = True) -> Float32:
    """Rotate every head by its token's row of a ``rope_table``.

    Shapes:
        x: [tokens, heads, head_dim] float32; cos, sin: [tokens, head_dim / 2] float32
        returns: [tokens, heads, head_dim] float32
    """
    x = float32_array("rope", "x", x, ndim=3)
    same_size("rope", "the number of positions", cos.shape[0], "x.shape[0]", x.shape[0])
    same_size("rope", "2 · the table's angles", 2 * cos.shape[1], "x.shape[-1]", x.shape[-1])
    out = np.empty(x.shape, np.float32)
    rotate(np.ascontiguousarray(x), cos, sin, neox, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def rotate(x, cos, sin, neox, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rotate every head of every token; ``out`` may be ``x``; for compiled callers."""
    half = cos.shape[1]
    step, offset = (1, half) if neox else (2, 1)
    for token in range(x.shape[0]):
        for head in range(x.shape[1]):
            for k in range(half):
                a, b = k * step, k * step + offset
                x_a, x_b = x[token, head, a], x[token, head, b]
                out[token, head, a] = x_a * cos[token, k] - x_b * sin[token, k]
                out[token, head, b] = x_a * sin[token, k] + x_b * cos[token, k]
