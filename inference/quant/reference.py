"""The block layouts, spelled out for one element at a time.

Plain Python integers and floats, no NumPy: short enough to compare with the C structures by eye,
and simple enough for the symbolic engines to run. Everything faster is tested against this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SUPERBLOCK_FIELDS: dict[str, tuple[tuple[str, int], ...]] = {
    "Q4_K": (("d", 2), ("dmin", 2), ("scales", 12), ("qs", 128)),
    "Q5_K": (("d", 2), ("dmin", 2), ("scales", 12), ("qh", 32), ("qs", 128)),
    "Q6_K": (("ql", 128), ("qh", 64), ("scales", 16), ("d", 2)),
}
"""Fields of a super-block of 256 weights in file order, with their bytes.

Source: ggml-common.h, block_q4_K, block_q5_K, block_q6_K.
"""


def field_offset(kind: str, field: str) -> int:
    """Return the byte offset of a field in a super-block; KeyError for unknown names."""
    offset = 0
    for name, size in SUPERBLOCK_FIELDS[kind]:
        if name == field:
            return offset
        offset += size
    raise KeyError(field)


def superblock_bytes(rows: int, cols: int, kind: str) -> int:
    """Return the bytes of a rows × cols matrix; each row is padded to whole super-blocks of 256."""
    block = 0
    for _, size in SUPERBLOCK_FIELDS[kind]:
        block += size
    return rows * ((cols + 255) // 256) * block


def q4k_bytes(rows: int, cols: int) -> int:
    """Return the bytes of a rows × cols matrix in Q4_K."""
    return superblock_bytes(rows, cols, "Q4_K")


def q6k_bytes(rows: int, cols: int) -> int:
    """Return the bytes of a rows × cols matrix in Q6_K."""
    return superblock_bytes(rows, cols, "Q6_K")


def unpack_scale_min(j: int, scales: Sequence[int]) -> tuple[int, int]:
    """Return the 6-bit scale and min of sub-block ``j`` (0..7) from the 12 packed bytes.

    Source: ggml-quants.c, get_scale_min_k4.
    """
    if j < 4:
        return scales[j] & 63, scales[j + 4] & 63
    scale = (scales[j + 4] & 15) | ((scales[j - 4] >> 6) << 4)
    minimum = (scales[j + 4] >> 4) | ((scales[j] >> 6) << 4)
    return scale, minimum


def pack_scale_min(scales: Sequence[int], mins: Sequence[int]) -> list[int]:
    """Pack 8 scales and 8 mins of 6 bits into 12 bytes; the inverse of ``unpack_scale_min``.

    Source: ggml-quants.c, quantize_row_q4_K_ref.
    """
    packed = [0] * 12
    for j in range(4):
        packed[j] = scales[j] | ((scales[j + 4] >> 4) << 6)
        packed[j + 4] = mins[j] | ((mins[j + 4] >> 4) << 6)
        packed[j + 8] = (scales[j + 4] & 15) | ((mins[j + 4] & 15) << 4)
    return packed


def nibble_position(i: int) -> tuple[int, int]:
    """Return (byte in ``qs``, shift) of weight ``i`` of a Q4_K or Q5_K super-block.

    Each 32 bytes hold 64 weights: the 32 low nibbles come first, the 32 high nibbles after.
    Source: ggml-quants.c, dequantize_row_q4_K.
    """
    group, rest = i // 64, i % 64
    return 32 * group + rest % 32, 4 * (rest // 32)


def q6_position(i: int) -> tuple[int, int, int, int]:
    """Return (byte in ``ql``, its shift, byte in ``qh``, its shift) of weight ``i`` of Q6_K.

    Source: ggml-quants.c, dequantize_row_q6_K.
    """
    half, rest = i // 128, i % 128
    quarter, lane = rest // 32, rest % 32
    return 64 * half + 32 * (quarter % 2) + lane, 4 * (quarter // 2), 32 * half + lane, 2 * quarter


def half_to_float(low: int, high: int) -> float:
    """Return the IEEE binary16 number stored in two little-endian bytes."""
    value: float = struct.unpack("<e", bytes((low, high)))[0]
    return value


class Block(NamedTuple):
    """One block as numbers: weight i is ``scales[j]·levels[i] + constants[j]``, j its sub-block."""

    levels: list[int]
    scales: list[float]
    constants: list[float]

    def weights(self) -> list[float]:
        """Return the weights; every step is exact but the last addition."""
        width = len(self.levels) // len(self.scales)
        return [
            self.scales[i // width] * level + self.constants[i // width]
            for i, level in enumerate(self.levels)
        ]


def _signed_byte(value: int) -> int:
    return value - 256 if value > 127 else value


def _nibble(packed: Sequence[int], i: int) -> int:
    """Return level ``i`` of 32: the 16 low nibbles come first."""
    return packed[i] & 15 if i < 16 else packed[i - 16] >> 4


def _fifth_bit(packed: Sequence[int], i: int) -> int:
    return ((packed[i // 8] >> (i % 8)) & 1) << 4


def parse_q4_0(block: Sequence[int]) -> Block:
    """``d·(q − 8)``; 18 bytes: d, 16 nibble pairs."""
    d = half_to_float(block[0], block[1])
    return Block([_nibble(block[2:], i) - 8 for i in range(32)], [d], [0.0])


def parse_q4_1(block: Sequence[int]) -> Block:
    """``d·q + m``; 20 bytes: d, m, 16 nibble pairs."""
    d, m = half_to_float(block[0], block[1]), half_to_float(block[2], block[3])
    return Block([_nibble(block[4:], i) for i in range(32)], [d], [m])


def parse_q5_0(block: Sequence[int]) -> Block:
    """``d·(q − 16)``; 22 bytes: d, 32 fifth bits, 16 nibble pairs."""
    d = half_to_float(block[0], block[1])
    levels = [(_nibble(block[6:], i) | _fifth_bit(block[2:6], i)) - 16 for i in range(32)]
    return Block(levels, [d], [0.0])


def parse_q5_1(block: Sequence[int]) -> Block:
    """``d·q + m``; 24 bytes: d, m, 32 fifth bits, 16 nibble pairs."""
    d, m = half_to_float(block[0], block[1]), half_to_float(block[2], block[3])
    levels = [_nibble(block[8:], i) | _fifth_bit(block[4:8], i) for i in range(32)]
    return Block(levels, [d], [m])


def parse_q8_0(block: Sequence[int]) -> Block:
    """``d·q``; 34 bytes: d, 32 signed bytes."""
    d = half_to_float(block[0], block[1])
    return Block([_signed_byte(value) for value in block[2:34]], [d], [0.0])


def parse_q4_k(block: Sequence[int]) -> Block:
    """``d·scale·q − dmin·min`` in sub-blocks of 32."""
    levels = []
    for i in range(256):
        byte, shift = nibble_position(i)
        levels.append((block[16 + byte] >> shift) & 15)
    return Block(levels, *_scales_and_constants(block))


def parse_q5_k(block: Sequence[int]) -> Block:
    """``d·scale·q − dmin·min`` in sub-blocks of 32; bit j of ``qh`` belongs to sub-block j."""
    levels = []
    for i in range(256):
        byte, shift = nibble_position(i)
        high = (block[16 + i % 32] >> (i // 32)) & 1
        levels.append(((block[48 + byte] >> shift) & 15) | (high << 4))
    return Block(levels, *_scales_and_constants(block))


def _scales_and_constants(block: Sequence[int]) -> tuple[list[float], list[float]]:
    d, dmin = half_to_float(block[0], block[1]), half_to_float(block[2], block[3])
    pairs = [unpack_scale_min(j, block[4:16]) for j in range(8)]
    return [d * scale for scale, _ in pairs], [-dmin * minimum for _, minimum in pairs]


def parse_q6_k(block: Sequence[int]) -> Block:
    """``d·scale·(q − 32)`` in sub-blocks of 16, the scales signed bytes."""
    levels = []
    for i in range(256):
        low, low_shift, high, high_shift = q6_position(i)
        level = (block[low] >> low_shift) & 15 | ((block[128 + high] >> high_shift) & 3) << 4
        levels.append(level - 32)
    d = half_to_float(block[208], block[209])
    return Block(levels, [d * _signed_byte(scale) for scale in block[192:208]], [0.0] * 16)


def dequantize_q4_k(blocks: Iterable[Sequence[int]]) -> list[list[float]]:
    """Expand Q4_K super-blocks: [n, 144] bytes to [n, 256] weights."""
    return [parse_q4_k(bytes(block)).weights() for block in blocks]


def dequantize_q6_k(blocks: Iterable[Sequence[int]]) -> list[list[float]]:
    """Expand Q6_K super-blocks: [n, 210] bytes to [n, 256] weights."""
    return [parse_q6_k(bytes(block)).weights() for block in blocks]
