"""How 16 rows of a weight lie interleaved in memory: what the rows of ``fused`` are written in.

A row is cut into units; a unit of 16 rows is one contiguous piece: the scales first, then the
levels in the order in which the kernel reads them. A 64-byte vector of levels holds four
neighbouring weights of each row. In the blocks of the file the levels lie so that this is a
transposition of 32-bit words; only the fifth bits of Q5_0 and Q5_1 are reordered.

Blocks in the file: ggml-common.h of ggml. Packed, a weight takes as much as in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HALF_LANES, BYTE_LANES, WORD_LANES = 32, 16, 64


class Move(IntEnum):
    """What happens to a piece of a block on its way into the unit."""

    WORD = 0
    HALF = 1
    BYTE = 2
    FIFTHS = 3
    SCALE = 4
    MINIMUM = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pieces of one file block go.

    A unit has ``blocks`` blocks of 32 weights and ``size`` bytes. ``moves`` has the columns: kind,
    offset in the block, offset in the unit of the first file block, step to that of the next.

    ``form`` says how weights follow from levels, one scale s per 32: ``s·(level − offset)``,
    ``s·level + minimum``; in halves, ``s·(level − offset)`` with one scale per 16.
    """

    blocks: int
    size: int
    moves: NDArray[np.int64]
    form: Literal["offset", "minimum", "halves"]
    offset: int = 0
    signed: bool = False


def table(*parts: list[tuple[int, int, int, int]]) -> NDArray[np.int64]:
    """Put moves together, as ``Layout`` wants them."""
    table = np.array([move for part in parts for move in part], dtype=np.int64)
    table.flags.writeable = False
    return table


def words(
    count: int, source: int, target: int, step: int = 0, apart: int = WORD_LANES
) -> list[tuple[int, int, int, int]]:
    """Move neighbouring words, each of four levels or eight, to vectors ``apart`` bytes apart."""
    return [(Move.WORD, source + 4 * i, target + apart * i, step) for i in range(count)]


def half(source: int, target: int, step: int = 0) -> list[tuple[int, int, int, int]]:
    """Move a float16."""
    return [(Move.HALF, source, target, step)]


def scales_and_minima() -> list[tuple[int, int, int, int]]:
    """Unpack the eight scales and eight minima of 6 bits that Q4_K and Q5_K have after d, dmin."""
    return [
        (kind, 4 + j, first + BYTE_LANES * j, 0)
        for kind, first in ((Move.SCALE, 64), (Move.MINIMUM, 192))
        for j in range(8)
    ]


def q6_k_levels() -> list[tuple[int, int, int, int]]:
    """Two words of low nibbles, then the word with the high bits of both."""
    parts = []
    for half in range(2):
        to = 320 + 1536 * half
        parts += words(8, 64 * half, to, apart=192)
        parts += words(8, 64 * half + 32, to + 64, apart=192)
        parts += words(8, 128 + 32 * half, to + 128, apart=192)
    return parts
