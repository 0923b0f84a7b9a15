"""From the packed bytes of 16 rows to levels and scales in registers, type by type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.kernels.qmatmul.lanes import BYTES, Lanes
from inference.quant.types import GGMLType


@dataclass(frozen=True, slots=True)
class Block:
    """32 weights of 16 rows: eight vectors of levels, and one or two vectors of scales.

    The second is the minimum, or the scale of the second half.
    """

    levels: list[Any]
    scales: tuple[Any, ...]


def _nibbles(v: Lanes, address: Any) -> list[Any]:
    words = [v.load(BYTES, v.at(address, 64 * i)) for i in range(4)]
    return [v.bits(word, -shift, 0x0F) for shift in (0, 4) for word in words]


def _fives(v: Lanes, address: Any) -> list[Any]:
    low, fifths = _nibbles(v, address), v.load(BYTES, v.at(address, 256))
    return [v.builder.or_(low[i], v.bits(fifths, 4 - i, 0x10)) for i in range(8)]


def _offset_pair(
    v: Lanes, unit: Any, size: int, levels: Callable[[Lanes, Any], list[Any]]
) -> list[Block]:
    return [
        Block(levels(v, v.at(unit, 64 + size * j)), (v.halves(v.at(unit, 32 * j)),))
        for j in range(2)
    ]


def _q4_0(v: Lanes, unit: Any, part: Any) -> list[Block]:
    return _offset_pair(v, unit, 256, _nibbles)


def _q5_0(v: Lanes, unit: Any, part: Any) -> list[Block]:
    return _offset_pair(v, unit, 320, _fives)


def _q8_0(v: Lanes, unit: Any, part: Any) -> list[Block]:
    def levels(v: Lanes, address: Any) -> list[Any]:
        return [v.load(BYTES, v.at(address, 64 * i)) for i in range(8)]

    return _offset_pair(v, unit, 512, levels)


def _q4_1(v: Lanes, unit: Any, part: Any) -> list[Block]:
    return [Block(_nibbles(v, v.at(unit, 64)), (v.halves(unit), v.halves(v.at(unit, 32))))]


def _q5_1(v: Lanes, unit: Any, part: Any) -> list[Block]:
    return [Block(_fives(v, v.at(unit, 64)), (v.halves(unit), v.halves(v.at(unit, 32))))]


def _scale_and_minimum(v: Lanes, unit: Any, part: Any, j: int) -> tuple[Any, Any]:
    b = v.builder
    at = v.at(unit, 64 + 16 * j, v.times(part, 32))
    scale = b.fmul(v.integers(at, signed=False), v.halves(unit))
    minimum = b.fmul(v.integers(v.at(at, 128), signed=False), v.halves(v.at(unit, 32)))
    return scale, b.fneg(minimum)


def _q4_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    data = v.at(unit, 320, v.times(part, 512))
    words = [v.load(BYTES, v.at(data, 64 * i)) for i in range(8)]
    return [
        Block([v.bits(w, -4 * j, 0x0F) for w in words], _scale_and_minimum(v, unit, part, j))
        for j in range(2)
    ]


def _q5_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    data = v.at(unit, 832, v.times(part, 512))
    blocks = []
    for j in range(2):
        levels = []
        for i in range(8):
            low = v.bits(v.load(BYTES, v.at(data, 64 * i)), -4 * j, 0x0F)
            fifths = v.load(BYTES, v.at(unit, 320 + 64 * i))
            plane = v.at(v.times(part, 2), j)
            levels.append(v.builder.or_(low, v.bits(v.bits_down(fifths, plane, 0x01), 4, 0x10)))
        blocks.append(Block(levels, _scale_and_minimum(v, unit, part, j)))
    return blocks


def _q6_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    b, data = v.builder, v.at(unit, 320, v.times(part, 1536))
    levels: list[list[Any]] = [[], [], [], []]
    for i in range(8):
        low = [v.load(BYTES, v.at(data, 192 * i + 64 * half)) for half in range(2)]
        high = v.load(BYTES, v.at(data, 192 * i + 128))
        for j in range(4):
            nibble = v.bits(low[j % 2], -4 * (j // 2), 0x0F)
            levels[j].append(b.or_(nibble, v.bits(high, 4 - 2 * j, 0x30)))
    d, scales = v.halves(unit), v.at(unit, 32, v.times(part, 128))
    return [
        Block(
            levels[j],
            tuple(
                b.fmul(v.integers(v.at(scales, 32 * j + 16 * half), signed=True), d)
                for half in range(2)
            ),
        )
        for j in range(4)
    ]


UNPACKERS: Mapping[GGMLType, tuple[int, Callable[[Lanes, Any, Any], list[Block]]]] = {
    GGMLType.Q4_0: (2, _q4_0),
    GGMLType.Q4_1: (1, _q4_1),
    GGMLType.Q5_0: (2, _q5_0),
    GGMLType.Q5_1: (1, _q5_1),
    GGMLType.Q8_0: (2, _q8_0),
    GGMLType.Q4_K: (2, _q4_k),
    GGMLType.Q5_K: (2, _q5_k),
    GGMLType.Q6_K: (4, _q6_k),
}
"""How many blocks of 32 one call unpacks, and the call: lanes, address of the unit, which part."""
