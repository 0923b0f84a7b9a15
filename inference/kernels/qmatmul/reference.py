"""Quantized product, one block of 32 activations per step, on plain Python numbers.

With weights ``w_i = s·level_i + c`` (one scale s and constant c per sub-block) and activations
``x_i = t·a_i`` (one scale t per 32), both levels and a integers:

    y = Σ_blocks t · Σ_sub-blocks (s · Σ_i level_i·a_i + c · Σ_i a_i)

The two inner sums are exact integers; what is left are a few products per block.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from inference.errors import UnsupportedTypeError
from inference.quant.formats import FORMATS
from inference.quant.reference import Block
from inference.quant.types import GGMLType, TensorType, block_size, type_size

PARSERS: Mapping[TensorType, Callable[[Sequence[int]], Block]] = MappingProxyType(
    {dtype: row.parse for dtype, row in FORMATS.items() if row.parse is not None}
)

_SMALLEST_SCALE = 2.0**-126


def _float32(value: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def quantize_activations(row: Sequence[float]) -> tuple[list[int], list[float]]:
    """Round one row of float32 values to −127..127, one scale per 32, halves away from zero.

    Scale and quotient are rounded to float32, so that the integers are those of every other
    implementation. A block that is not finite gets scale NaN, one below the normal range is zero.
    """
    levels: list[int] = []
    scales: list[float] = []
    for first in range(0, len(row), 32):
        part = [float(value) for value in row[first : first + 32]]
        largest = max(abs(value) for value in part)
        if not all(math.isfinite(value) for value in part):
            scales.append(math.nan)
            levels += [0] * 32
            continue
        scale = _float32(largest / 127)
        if scale < _SMALLEST_SCALE:
            scales.append(0.0)
            levels += [0] * 32
            continue
        inverse = _float32(1 / scale)
        scales.append(scale)
        for value in part:
            quotient = _float32(value * inverse)
            size = math.floor(abs(quotient) + 0.5)
            levels.append(size if quotient >= 0 else -size)
    return levels, scales


def activation_sums(q: Sequence[Sequence[int]]) -> list[list[int]]:
    """Sum 16 neighbouring activations: [n, k] to [n, k/16]."""
    return [[sum(int(v) for v in row[i : i + 16]) for i in range(0, len(row), 16)] for row in q]


def dot_row(
    row: Sequence[int], dtype: GGMLType, levels: Sequence[int], scales: Sequence[float]
) -> float:
    """Multiply one packed row of weights with quantized activations."""
    total = 0.0
    for number in range(len(levels) // block_size(dtype)):
        at = type_size(dtype) * number
        block = PARSERS[dtype](row[at : at + type_size(dtype)])
        width = len(block.levels) // len(block.scales)
        for j, (scale, constant) in enumerate(zip(block.scales, block.constants, strict=True)):
            first = block_size(dtype) * number + width * j
            activations = levels[first : first + width]
            dot = sum(
                level * activation
                for level, activation in zip(block.levels[width * j :], activations, strict=False)
            )
            total += (scale * dot + constant * sum(activations)) * scales[first // 32]
    return total


def qmatmul(
    raw: Sequence[int], dtype: GGMLType, rows: int, cols: int, x: Sequence[Sequence[float]]
) -> list[list[float]]:
    """Return ``x @ W.T`` for a weight W [rows, cols] of whole blocks.

    Shapes:
        raw: the bytes of all rows, one after the other
        x: [n, cols]
        returns: [n, rows]
    """
    if dtype not in PARSERS:
        raise UnsupportedTypeError(f"no integer form of {dtype!r}")
    length = cols // block_size(dtype) * type_size(dtype)
    packed = [raw[row * length : (row + 1) * length] for row in range(rows)]
    quantized = [quantize_activations(row) for row in x]
    return [[dot_row(row, dtype, *token) for row in packed] for token in quantized]
