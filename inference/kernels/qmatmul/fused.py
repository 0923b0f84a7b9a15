"""The types that products read packed: one row a type, which is all that is said of it here.

The compiled functions of ``cpu``, their dispatch, packing and corrections are made from the rows.
Beside its row, a type has its decoder and its scalar parser in `inference.quant.formats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from inference.kernels.qmatmul import layouts as at
from inference.kernels.qmatmul import unpacking as levels
from inference.kernels.qmatmul.layouts import BYTE_LANES, HALF_LANES, Layout, Move
from inference.kernels.qmatmul.unpacking import Unpacker
from inference.quant.types import GGMLType


@dataclass(frozen=True, slots=True)
class Fused:
    """What a product needs to know of a type.

    ``weights`` is the formula of its weights; ``layout`` says how its blocks lie once packed, and
    how weights follow from levels; ``unpack`` makes ``step`` blocks of 32 at a time from them.
    """

    weights: str
    layout: Layout
    step: int
    unpack: Unpacker


FUSED: Mapping[GGMLType, Fused] = MappingProxyType(
    {
        GGMLType.Q4_0: Fused(
            "d·(q − 8)",
            Layout(
                2,
                576,
                at.table(at.half(0, 0, HALF_LANES), at.words(4, 2, 64, 256)),
                "offset",
                8,
            ),
            2,
            levels.pair(256, levels.nibbles),
        ),
        GGMLType.Q4_1: Fused(
            "d·q + m",
            Layout(
                1,
                320,
                at.table(at.half(0, 0), at.half(2, 32), at.words(4, 4, 64)),
                "minimum",
            ),
            1,
            levels.with_minimum(levels.nibbles),
        ),
        GGMLType.Q5_0: Fused(
            "d·(q − 16)",
            Layout(
                2,
                704,
                at.table(
                    at.half(0, 0, HALF_LANES),
                    [(Move.FIFTHS, 2, 320, 320)],
                    at.words(4, 6, 64, 320),
                ),
                "offset",
                16,
            ),
            2,
            levels.pair(320, levels.fives),
        ),
        GGMLType.Q5_1: Fused(
            "d·q + m",
            Layout(
                1,
                384,
                at.table(
                    at.half(0, 0),
                    at.half(2, 32),
                    [(Move.FIFTHS, 4, 320, 0)],
                    at.words(4, 8, 64),
                ),
                "minimum",
            ),
            1,
            levels.with_minimum(levels.fives),
        ),
        GGMLType.Q8_0: Fused(
            "d·q",
            Layout(
                2,
                1088,
                at.table(at.half(0, 0, HALF_LANES), at.words(8, 2, 64, 512)),
                "offset",
                signed=True,
            ),
            2,
            levels.pair(512, levels.octets),
        ),
        GGMLType.Q4_K: Fused(
            "d·scale·q − dmin·min",
            Layout(
                8,
                2368,
                at.table(
                    at.half(0, 0), at.half(2, 32), at.scales_and_minima(), at.words(32, 16, 320)
                ),
                "minimum",
            ),
            2,
            levels.q4_k,
        ),
        GGMLType.Q5_K: Fused(
            "d·scale·q − dmin·min",
            Layout(
                8,
                2880,
                at.table(
                    at.half(0, 0),
                    at.half(2, 32),
                    at.scales_and_minima(),
                    at.words(8, 16, 320),
                    at.words(32, 48, 832),
                ),
                "minimum",
            ),
            2,
            levels.q5_k,
        ),
        GGMLType.Q6_K: Fused(
            "d·scale·(q − 32)",
            Layout(
                8,
                3392,
                at.table(
                    at.half(208, 0),
                    [(Move.BYTE, 192 + j, 32 + BYTE_LANES * j, 0) for j in range(16)],
                    # Bytes 288 … 319 are padding.
                    at.q6_k_levels(),
                ),
                "halves",
                32,
            ),
            4,
            levels.q6_k,
        ),
    }
)
