"""From the packed bytes of 16 rows to levels and scales in registers, for the rows of ``fused``.

An ``Unpacker`` gets the lanes, the address of a unit, and which part of the unit is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inference.kernels.qmatmul.lanes import BYTES, Lanes


@dataclass(frozen=True, slots=True)
class Block:
    """32 weights of 16 rows: eight vectors of levels, and one or two vectors of scales.

    The second is the minimum, or the scale of the second half.
    """

    levels: list[Any]
    scales: tuple[Any, ...]


Levels = Callable[[Lanes, Any], list[Any]]
Unpacker = Callable[[Lanes, Any, Any], list[Block]]


def octets(v: Lanes, address: Any) -> list[Any]:
    """Load levels of a byte each."""
    return [v.load(BYTES, v.at(address, 64 * i)) for i in range(8)]


def nibbles(v: Lanes, address: Any) -> list[Any]:
    """Unpack levels of 4 bits, the low nibbles first."""
    words = [v.load(BYTES, v.at(address, 64 * i)) for i in range(4)]
    return [v.bits(word, -shift, 0x0F) for shift in (0, 4) for word in words]


def fives(v: Lanes, address: Any) -> list[Any]:
    """Unpack levels of 5 bits: nibbles, and after them a plane of fifth bits."""
    low, fifths = nibbles(v, address), v.load(BYTES, v.at(address, 256))
    return [v.builder.or_(low[i], v.bits(fifths, 4 - i, 0x10)) for i in range(8)]


def pair(size: int, levels: Levels) -> Unpacker:
    """Unpack two blocks that have a scale each, their levels in ``size`` bytes."""

    def unpack(v: Lanes, unit: Any, part: Any) -> list[Block]:
        return [
            Block(levels(v, v.at(unit, 64 + size * j)), (v.halves(v.at(unit, 32 * j)),))
            for j in range(2)
        ]

    return unpack


def with_minimum(levels: Levels) -> Unpacker:
    """Unpack one block that has a scale and a minimum."""

    def unpack(v: Lanes, unit: Any, part: Any) -> list[Block]:
        return [Block(levels(v, v.at(unit, 64)), (v.halves(unit), v.halves(v.at(unit, 32))))]

    return unpack


def _scale_and_minimum(v: Lanes, unit: Any, part: Any, j: int) -> tuple[Any, Any]:
    b = v.builder
    at = v.at(unit, 64 + 16 * j, v.times(part, 32))
    scale = b.fmul(v.integers(at, signed=False), v.halves(unit))
    minimum = b.fmul(v.integers(v.at(at, 128), signed=False), v.halves(v.at(unit, 32)))
    return scale, b.fneg(minimum)


def q4_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    """Unpack two sub-blocks of 32: the low nibbles of 32 bytes, and the high ones."""
    data = v.at(unit, 320, v.times(part, 512))
    words = [v.load(BYTES, v.at(data, 64 * i)) for i in range(8)]
    return [
        Block([v.bits(w, -4 * j, 0x0F) for w in words], _scale_and_minimum(v, unit, part, j))
        for j in range(2)
    ]


def q5_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    """Unpack two sub-blocks of 32, whose fifth bits are two planes of the unit's."""
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


def q6_k(v: Lanes, unit: Any, part: Any) -> list[Block]:
    """Unpack four sub-blocks of 32: nibbles, and two bits from the word that both share."""
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
