"""Q4_K products, one sub-block of 32 weights per step, on plain Python numbers.

y = Σ_t s_t · (d · scale_t · Σ_i q_i a_i − dmin · min_t · Σ_i a_i), with int8 activations a_i of
scale s_t; block layout and unpacking are those of `inference.quant.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inference.kernels.nested import plain
from inference.quant.reference import half_to_float, nibble_position, unpack_scale_min

SUPERBLOCK_BYTES = 144
SUBBLOCK = 32


def q4k_matvec(raw: Any, rows: int, cols: int, x: Any) -> list[list[float]]:
    """Return ``x @ W.T`` for a Q4_K weight W [rows, cols]; cols is a multiple of 256.

    Shapes:
        raw: the bytes of W's super-blocks, flat or one row each
        x: [batch, cols]
        returns: [batch, rows]
    """
    data = bytes(raw)
    row_bytes = cols // 256 * SUPERBLOCK_BYTES
    packed = [data[row * row_bytes : (row + 1) * row_bytes] for row in range(rows)]
    products = []
    for activations in plain(x):
        levels, scales = quantize_row(activations)
        products.append([dot_row(row, levels, scales) for row in packed])
    return products


def dot_row(row: bytes, levels: Sequence[int], scales: Sequence[float]) -> float:
    """Multiply one packed row with quantized activations."""
    total = 0.0
    for t, activation_scale in enumerate(scales):
        at = t // 8 * SUPERBLOCK_BYTES
        block = row[at : at + SUPERBLOCK_BYTES]
        total += activation_scale * dot_subblock(block, t % 8, levels[SUBBLOCK * t :])
    return total


def dot_subblock(block: Sequence[int], j: int, levels: Sequence[int]) -> float:
    """Multiply sub-block ``j`` of a super-block with 32 integer activations."""
    d, dmin = half_to_float(block[0], block[1]), half_to_float(block[2], block[3])
    scale, minimum = unpack_scale_min(j, block[4:16])
    dot = activation_sum = 0
    for i in range(SUBBLOCK):
        byte, shift = nibble_position(SUBBLOCK * j + i)
        dot += ((block[16 + byte] >> shift) & 15) * levels[i]
        activation_sum += levels[i]
    return d * (scale * dot) - dmin * (minimum * activation_sum)


def quantize_row(activations: Sequence[float]) -> tuple[list[int], list[float]]:
    """Round activations to −127..127 with one scale per 32, halves away from zero."""
    levels: list[int] = []
    scales = []
    for start in range(0, len(activations), SUBBLOCK):
        part = activations[start : start + SUBBLOCK]
        scale = max(abs(value) for value in part) / 127
        scales.append(scale)
        for value in part:
            size = math.floor(abs(value) / scale + 0.5) if scale > 0 else 0
            levels.append(size if value >= 0 else -size)
    return levels, scales
