"""Decoders of the i-quants: super-blocks of 256 weights whose levels come from codebooks.

Same calling convention as ``legacy.py``; results equal ggml's bit for bit.
Source: ggml-common.h, block_iq1_s … block_iq4_xs; ggml-quants.c, dequantize_row_iq*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.quant.codebooks import IQ4_LEVELS, even_signs, grid, signs_of_byte
from inference.quant.legacy import Bytes, Floats, half
from inference.quant.types import GGMLType

_DELTA = np.float32(0.125)


def _words(packed: Bytes, dtype: str) -> NDArray[np.unsignedinteger]:
    """Read bytes [n, k] as little-endian integers."""
    return np.ascontiguousarray(packed).view(dtype)


def _fields(
    words: NDArray[np.unsignedinteger], shifts: tuple[int, ...], mask: int
) -> NDArray[np.unsignedinteger]:
    """Cut every word [n, k] into its fields, [n, k · fields], neighbours in the order of shifts."""
    at = np.array(shifts, dtype=words.dtype)
    return ((words[..., None] >> at) & words.dtype.type(mask)).reshape(len(words), -1)


def _spread(out: Floats, levels: Floats, scales: Floats, signs: Floats | None = None) -> None:
    """Fill ``out`` with levels times the scale of their sub-block, then times their signs.

    Shapes:
        levels, signs: [n, ...] with 256 values a block
        scales: [n, sub-blocks]
    """
    grouped = out.reshape(len(out), scales.shape[1], -1)
    np.multiply(levels.reshape(grouped.shape), scales[:, :, None], out=grouped)
    if signs is not None:
        out *= signs.reshape(out.shape)


def _eighths(blocks: Bytes, scales: NDArray[np.unsignedinteger]) -> Floats:
    """``d·(0.5 + scale)/4``, the scale of every sub-block of the 2-bit types."""
    scale: Floats = half(blocks, 0) * (np.float32(0.5) + scales.astype(np.float32))
    return scale * np.float32(0.25)


def decode_iq2_xxs(blocks: Bytes, out: Floats) -> None:
    """66 bytes: d, then for every 32 weights four grid indices and a word of signs and scale."""
    pairs = _words(blocks[:, 2:], "<u4").reshape(len(blocks), 8, 2)
    indices = np.ascontiguousarray(pairs[:, :, 0]).view(np.uint8)
    signs = even_signs()[_fields(pairs[:, :, 1], (0, 7, 14, 21), 127)]
    scales = _eighths(blocks, pairs[:, :, 1] >> np.uint32(28))
    _spread(out, grid(GGMLType.IQ2_XXS)[indices], scales, signs)


def decode_iq2_xs(blocks: Bytes, out: Floats) -> None:
    """74 bytes: d, 32 words of 9 index and 7 sign bits, 16 scales of 4 bits."""
    words = _words(blocks[:, 2:66], "<u2")
    scales = _eighths(blocks, _fields(blocks[:, 66:], (0, 4), 15))
    levels = grid(GGMLType.IQ2_XS)[words & np.uint16(511)]
    _spread(out, levels, scales, even_signs()[words >> np.uint16(9)])


def decode_iq2_s(blocks: Bytes, out: Floats) -> None:
    """82 bytes: d, 32 low index bytes, 32 sign bytes, 8 bytes of high bits, 16 scales of 4 bits."""
    high = _fields(blocks[:, 66:74], (0, 2, 4, 6), 3).astype(np.uint16)
    indices = blocks[:, 2:34] | high << np.uint16(8)
    scales = _eighths(blocks, _fields(blocks[:, 74:], (0, 4), 15))
    _spread(out, grid(GGMLType.IQ2_S)[indices], scales, signs_of_byte()[blocks[:, 34:66]])


def decode_iq3_xxs(blocks: Bytes, out: Floats) -> None:
    """98 bytes: d, 64 grid indices, 8 words of four 7-bit signs and a 4-bit scale."""
    words = _words(blocks[:, 66:], "<u4")
    scales = half(blocks, 0) * (np.float32(0.5) + (words >> np.uint32(28)).astype(np.float32))
    signs = even_signs()[_fields(words, (0, 7, 14, 21), 127)]
    _spread(out, grid(GGMLType.IQ3_XXS)[blocks[:, 2:66]], scales * np.float32(0.5), signs)


def decode_iq3_s(blocks: Bytes, out: Floats) -> None:
    """110 bytes: d, 64 low index bytes, 8 bytes of high bits, 32 sign bytes, 8 scales of 4 bits."""
    high = _fields(blocks[:, 66:74], tuple(range(8)), 1).astype(np.uint16)
    indices = blocks[:, 2:66] | high << np.uint16(8)
    scales = half(blocks, 0) * (1 + 2 * _fields(blocks[:, 106:], (0, 4), 15)).astype(np.float32)
    _spread(out, grid(GGMLType.IQ3_S)[indices], scales, signs_of_byte()[blocks[:, 74:106]])


def decode_iq1_s(blocks: Bytes, out: Floats) -> None:
    """``d·(2·scale + 1)·(grid ± 1/8)``; 50 bytes: d, 32 low index bytes, 8 words of the rest."""
    words = _words(blocks[:, 34:], "<u2")
    indices = blocks[:, 2:34] | _fields(words, (0, 3, 6, 9), 7) << np.uint16(8)
    shift = np.where(words & np.uint16(0x8000), -_DELTA, _DELTA)
    levels = grid(GGMLType.IQ1_S)[indices].reshape(len(blocks), 8, 32) + shift[:, :, None]
    odd = 2 * ((words >> np.uint16(12)) & np.uint16(7)) + np.uint16(1)
    _spread(out, levels, half(blocks, 0) * odd.astype(np.float32))


def decode_iq1_m(blocks: Bytes, out: Floats) -> None:
    """As IQ1_S with sub-blocks of 16; 56 bytes: 32 low index bytes, 16 of high bits, 8 of scales.

    The float16 scale is spread over the upper four bits of the four words of scales.
    """
    words = _words(blocks[:, 48:], "<u2")
    parts = (words & np.uint16(0xF000)) >> np.array([12, 8, 4, 0], np.uint16)
    whole = np.bitwise_or.reduce(parts, axis=1, keepdims=True).astype("<u2").view(np.uint8)
    high = _fields(blocks[:, 32:48], (0, 4), 15).astype(np.uint16)
    indices = blocks[:, :32] | (high & np.uint16(7)) << np.uint16(8)
    shift = np.where(high & np.uint16(8), -_DELTA, _DELTA)
    levels = grid(GGMLType.IQ1_M)[indices] + shift[:, :, None]
    odd = 2 * _fields(words, (0, 3, 6, 9), 7) + np.uint16(1)
    _spread(out, levels, half(whole, 0) * odd.astype(np.float32))


def decode_iq4_nl(blocks: Bytes, out: Floats) -> None:
    """``d·level[q]``; 18 bytes: d, 16 nibble pairs."""
    q = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    out[...] = IQ4_LEVELS[q]
    out *= half(blocks, 0)


def decode_iq4_xs(blocks: Bytes, out: Floats) -> None:
    """``d·(scale − 32)·level[q]``; 136 bytes: d, high scale bits, low scale bits, nibble pairs."""
    high = _fields(_words(blocks[:, 2:4], "<u2"), tuple(range(0, 16, 2)), 3).astype(np.uint8)
    scales = (_fields(blocks[:, 4:8], (0, 4), 15) | high << np.uint8(4)).view(np.int8) - np.int8(32)
    pairs = blocks[:, 8:].reshape(len(blocks), 8, 16)
    q = np.concatenate([pairs & 15, pairs >> 4], axis=2)
    _spread(out, IQ4_LEVELS[q].astype(np.float32), half(blocks, 0) * scales.astype(np.float32))
