"""Decoders of binary and ternary weights, of 4-bit floats, and of Q8_K.

Same calling convention as ``legacy.py``; results equal ggml's bit for bit.
Source: ggml-common.h, block_q1_0, block_tq1_0, block_tq2_0,
block_mxfp4, block_nvfp4, block_q8_K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.quant.codebooks import E2M1_LEVELS
from inference.quant.legacy import Bytes, Floats, half

_POWERS_OF_3 = np.array([1, 3, 9, 27, 81], np.uint8).reshape(1, 5, 1)


def _trits(packed: Bytes, count: int) -> NDArray[np.uint8]:
    """Multiply bytes [n, k] by the first powers of 3, modulo 256: [n, count · k]."""
    return (packed[:, None, :] * _POWERS_OF_3[:, :count]).reshape(len(packed), -1)


def decode_q1_0(blocks: Bytes, out: Floats) -> None:
    """``±d``, a set bit is a plus; 18 bytes: d, 128 bits."""
    out[...] = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little").view(np.int8) * 2 - 1
    out *= half(blocks, 0)


def decode_tq1_0(blocks: Bytes, out: Floats) -> None:
    """``d·(t − 1)``, five ternary digits to a byte; 54 bytes: 32 + 16 of fives, 4 of fours, d.

    A byte is the number 0.ttttt in base 3: a digit is the carry of its product with 3.
    """
    digits = np.concatenate(
        [_trits(blocks[:, :32], 5), _trits(blocks[:, 32:48], 5), _trits(blocks[:, 48:52], 4)],
        axis=1,
    )
    out[...] = ((digits.astype(np.uint16) * 3) >> 8).astype(np.int8) - np.int8(1)
    out *= half(blocks, 52)


def decode_tq2_0(blocks: Bytes, out: Floats) -> None:
    """``d·(q − 1)``, 2 bits each; 66 bytes: qs in two runs of 32 bytes, d."""
    runs = blocks[:, :64].reshape(len(blocks), 2, 1, 32)
    q = (runs >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & np.uint8(3)
    out[...] = q.reshape(out.shape).astype(np.int8) - np.int8(1)
    out *= half(blocks, 64)


def _e8m0(exponents: Bytes) -> Floats:
    """Return half of 2^(e − 127); the levels are doubled."""
    wide = exponents.astype(np.uint32)
    normal = np.where(wide < 2, 0, wide - np.uint32(1)).astype(np.uint32) << np.uint32(23)
    return np.where(wide < 2, np.uint32(0x0020_0000) << wide, normal).view(np.float32)


def decode_mxfp4(blocks: Bytes, out: Floats) -> None:
    """``2^(e − 127)·level/2``; 17 bytes: exponent, 16 nibble pairs (OCP Microscaling v1.0)."""
    out[...] = E2M1_LEVELS[np.concatenate([blocks[:, 1:] & 15, blocks[:, 1:] >> 4], axis=1)]
    out *= _e8m0(blocks[:, :1])


def _ue4m3(codes: Bytes) -> Floats:
    """Return half of the unsigned 4-3 float; 127, its NaN, counts as 0."""
    exponent = ((codes >> 3) & 15).astype(np.int32)
    mantissa = (codes & 7).astype(np.float32)
    subnormal, normal = mantissa, 8 + mantissa
    value = np.ldexp(np.where(exponent == 0, subnormal, normal), np.maximum(exponent, 1) - 11)
    return np.where((codes == 0) | (codes == 0x7F), np.float32(0), value).astype(np.float32)


def decode_nvfp4(blocks: Bytes, out: Floats) -> None:
    """``scale·level/2`` in sub-blocks of 16; 36 bytes: four scales, 4 × 8 nibble pairs."""
    pairs = blocks[:, 4:].reshape(len(blocks), 4, 8)
    grouped = out.reshape(len(blocks), 4, 16)
    grouped[...] = E2M1_LEVELS[np.concatenate([pairs & 15, pairs >> 4], axis=2)]
    grouped *= _ue4m3(blocks[:, :4])[:, :, None]


def decode_q8_k(blocks: Bytes, out: Floats) -> None:
    """``d·q``; 292 bytes: a float32 scale, 256 signed bytes, sums of 16 that only kernels need."""
    out[...] = blocks[:, 4:260].view(np.int8)
    out *= np.ascontiguousarray(blocks[:, :4]).view("<f4")
