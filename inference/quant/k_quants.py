"""Decoders of the K-quants: super-blocks of 256 weights, sub-blocks with their own scales.

Same calling convention as ``legacy.py``; results equal ggml's bit for bit. The layouts are spelled
out in ``reference.py``.
Source: ggml-common.h, block_q2_K … block_q6_K; ggml-quants.c, dequantize_row_*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.quant.legacy import Bytes, Floats, half
from inference.quant.types import QK_K


def scales_and_mins(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Unpack the 6-bit scales and mins of Q4_K and Q5_K: [n, 12] to two arrays [n, 8]."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    mins = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales, mins


def _bit_planes(packed: Bytes, planes: int, width: int) -> NDArray[np.uint8]:
    """Cut every byte of runs of 32 into ``planes`` values of ``width`` bits, plane after plane."""
    runs = packed.reshape(len(packed), -1, 1, 32)
    shifts = np.arange(0, planes * width, width, dtype=np.uint8).reshape(1, 1, planes, 1)
    return (runs >> shifts) & np.uint8((1 << width) - 1)


def _scaled(out: Floats, q: NDArray[np.uint8] | NDArray[np.int8], scales: Floats) -> Floats:
    """Fill ``out`` with levels times the scale of their sub-block; return it seen by sub-block."""
    grouped = out.reshape(len(out), scales.shape[1], -1)
    grouped[...] = q.reshape(grouped.shape)
    grouped *= scales[:, :, None]
    return grouped


def decode_q2_k(blocks: Bytes, out: Floats) -> None:
    """``d·scale·q − dmin·min`` in sub-blocks of 16; 84 bytes: scales, qs, d, dmin."""
    packed = blocks[:, :16]
    grouped = _scaled(
        out,
        _bit_planes(blocks[:, 16:80], 4, 2),
        half(blocks, 80) * (packed & 15).astype(np.float32),
    )
    grouped -= (half(blocks, 82) * (packed >> 4).astype(np.float32))[:, :, None]


def decode_q3_k(blocks: Bytes, out: Floats) -> None:
    """``d·(scale − 32)·(q − 4·[high bit clear])``; 110 bytes: hmask, qs, scales, d."""
    low, high = blocks[:, 96:104], blocks[:, 104:108]
    scales = np.concatenate([low & 15, low >> 4], axis=1)
    scales |= np.concatenate([(high >> shift) & 3 for shift in (0, 2, 4, 6)], axis=1) << 4
    q = _bit_planes(blocks[:, 32:96], 4, 2).reshape(len(blocks), 8, 32)
    q |= _bit_planes(blocks[:, :32], 8, 1).reshape(len(blocks), 8, 32) << 2
    signed = scales.view(np.int8) - np.int8(32)
    _scaled(out, q.view(np.int8) - np.int8(4), half(blocks, 108) * signed.astype(np.float32))


def decode_q4_k(blocks: Bytes, out: Floats) -> None:
    """``d·scale·q − dmin·min`` in sub-blocks of 32; 144 bytes: d, dmin, scales, qs."""
    scales, mins = scales_and_mins(blocks[:, 4:16])
    q = _bit_planes(blocks[:, 16:144], 2, 4)
    grouped = _scaled(out, q, half(blocks, 0) * scales.astype(np.float32))
    grouped -= (half(blocks, 2) * mins.astype(np.float32))[:, :, None]


def decode_q5_k(blocks: Bytes, out: Floats) -> None:
    """``d·scale·q − dmin·min`` in sub-blocks of 32; 176 bytes: d, dmin, scales, qh, qs."""
    scales, mins = scales_and_mins(blocks[:, 4:16])
    q = _bit_planes(blocks[:, 48:176], 2, 4).reshape(len(blocks), 8, 32)
    q |= _bit_planes(blocks[:, 16:48], 8, 1).reshape(len(blocks), 8, 32) << 4
    grouped = _scaled(out, q, half(blocks, 0) * scales.astype(np.float32))
    grouped -= (half(blocks, 2) * mins.astype(np.float32))[:, :, None]


def decode_q6_k(blocks: Bytes, out: Floats) -> None:
    """``d·scale·(q − 32)`` in sub-blocks of 16; 210 bytes: ql, qh, scales, d."""
    low = blocks[:, :128].reshape(len(blocks), 2, 1, 64)
    q = np.concatenate([low & 15, low >> 4], axis=2).reshape(len(blocks), 2, 4, 32)
    q |= _bit_planes(blocks[:, 128:192], 4, 2) << 4
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    _scaled(out, q.view(np.int8) - np.int8(32), half(blocks, 208) * scales)


def dequantize_q4_k(blocks: Bytes) -> Floats:
    """Expand Q4_K super-blocks: [n, 144] uint8 to [n, 256] float32."""
    out = np.empty((len(blocks), QK_K), dtype=np.float32)
    decode_q4_k(blocks, out)
    return out


def dequantize_q6_k(blocks: Bytes) -> Floats:
    """Expand Q6_K super-blocks: [n, 210] uint8 to [n, 256] float32."""
    out = np.empty((len(blocks), QK_K), dtype=np.float32)
    decode_q6_k(blocks, out)
    return out
