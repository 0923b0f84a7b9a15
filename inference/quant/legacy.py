"""Plain floats and the formats with one scale per 32 weights (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0).

Decoders take blocks [n, bytes] uint8 and fill out [n, weights] float32; encoders take blocks
[n, weights] float32 and return [n, bytes] uint8. Results equal ggml's bit for bit.
Source: ggml-quants.c, quantize_row_*_ref and dequantize_row_*.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inference.quant.types import QK

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def half(blocks: Bytes, at: int) -> Floats:
    """Read the float16 at byte ``at`` of every block, shape [n, 1] float32."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def half_bytes(values: Floats) -> Bytes:
    """Store values [n, 1] as float16, shape [n, 2] uint8; too large becomes infinite, as in C."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint8)


def reciprocal(scale: Floats) -> Floats:
    """Return 1/scale, and 0 where that would not be finite: such a scale is stored as 0."""
    usable = np.abs(scale) >= np.finfo(np.float32).tiny
    return np.where(usable, np.float32(1) / np.where(usable, scale, np.float32(1)), np.float32(0))


def decode_f32(blocks: Bytes, out: Floats) -> None:
    """Copy float32 values."""
    out[...] = np.ascontiguousarray(blocks).view("<f4")


def encode_f32(x: Floats) -> Bytes:
    """Copy float32 values."""
    return np.ascontiguousarray(x, dtype="<f4").view(np.uint8)


def decode_f16(blocks: Bytes, out: Floats) -> None:
    """Widen float16 values."""
    out[...] = np.ascontiguousarray(blocks).view("<f2")


def encode_f16(x: Floats) -> Bytes:
    """Round to float16, ties to even; ``ValueError`` for finite values beyond its range."""
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(x.astype("<f2"))
    if (lost := np.isinf(rounded) & np.isfinite(x)).any():
        raise ValueError(f"the value {x[lost].flat[0]:g} lies outside ±65504, float16's range")
    return rounded.view(np.uint8)


def decode_bf16(blocks: Bytes, out: Floats) -> None:
    """Widen bfloat16 values: the upper half of a float32."""
    bits = np.ascontiguousarray(blocks).view("<u2").astype(np.uint32) << np.uint32(16)
    out[...] = bits.view(np.float32)


def decoder_of(layout: str) -> Callable[[Bytes, Floats], None]:
    """Return a decoder that rounds plain numbers of NumPy type ``layout`` to float32."""

    def decode(blocks: Bytes, out: Floats) -> None:
        with np.errstate(over="ignore"):
            out[...] = np.ascontiguousarray(blocks).view(layout)

    return decode


def encode_bf16(x: Floats) -> Bytes:
    """Round to bfloat16, ties to even; NaN becomes a quiet NaN of the same sign."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    quiet = (bits >> np.uint32(16)) | np.uint32(64)
    rounded = (bits.astype(np.uint64) + (0x7FFF + ((bits >> np.uint32(16)) & 1))) >> np.uint64(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, quiet, rounded).astype("<u2").view(np.uint8)


def _split_nibbles(packed: Bytes, out: NDArray[np.uint8]) -> None:
    np.bitwise_and(packed, 15, out=out[:, : QK // 2])
    np.right_shift(packed, 4, out=out[:, QK // 2 :])


def _join_nibbles(q: Bytes) -> Bytes:
    return (q[:, : QK // 2] & np.uint8(15)) | (q[:, QK // 2 :] << np.uint8(4))


def _nibbles(packed: Bytes) -> Bytes:
    q = np.empty((len(packed), QK), dtype=np.uint8)
    _split_nibbles(packed, q)
    return q


def _fifth_bits(packed: Bytes) -> Bytes:
    return np.unpackbits(packed, axis=1, bitorder="little") << np.uint8(4)


def decode_q4_0(blocks: Bytes, out: Floats) -> None:
    """``d·(q − 8)``; 18 bytes: d, 16 nibble pairs."""
    out[...] = _nibbles(blocks[:, 2:]).view(np.int8) - np.int8(8)
    out *= half(blocks, 0)


def decode_q4_1(blocks: Bytes, out: Floats) -> None:
    """``d·q + m``; 20 bytes: d, m, 16 nibble pairs."""
    out[...] = _nibbles(blocks[:, 4:])
    out *= half(blocks, 0)
    out += half(blocks, 2)


def decode_q5_0(blocks: Bytes, out: Floats) -> None:
    """``d·(q − 16)``; 22 bytes: d, 32 fifth bits, 16 nibble pairs."""
    q = _nibbles(blocks[:, 6:])
    q |= _fifth_bits(blocks[:, 2:6])
    out[...] = q.view(np.int8) - np.int8(16)
    out *= half(blocks, 0)


def decode_q5_1(blocks: Bytes, out: Floats) -> None:
    """``d·q + m``; 24 bytes: d, m, 32 fifth bits, 16 nibble pairs."""
    q = _nibbles(blocks[:, 8:])
    q |= _fifth_bits(blocks[:, 4:8])
    out[...] = q
    out *= half(blocks, 0)
    out += half(blocks, 2)


def decode_q8_0(blocks: Bytes, out: Floats) -> None:
    """``d·q``; 34 bytes: d, 32 signed bytes."""
    out[...] = blocks[:, 2:].view(np.int8)
    out *= half(blocks, 0)


def _extreme(x: Floats) -> Floats:
    """Return the value of largest magnitude of each block, its sign kept, shape [n, 1]."""
    at = np.abs(x).argmax(axis=1, keepdims=True)
    return np.take_along_axis(x, at, axis=1)


def _levels(scaled: Floats, top: int) -> Bytes:
    return np.clip(np.trunc(scaled), 0, top).astype(np.uint8)


def _symmetric(x: Floats, bits: int) -> tuple[Floats, Bytes]:
    middle = 1 << (bits - 1)
    d = _extreme(x) / np.float32(-middle)
    return d, _levels(x * reciprocal(d) + np.float32(middle + 0.5), 2 * middle - 1)


def _affine(x: Floats, bits: int) -> tuple[Floats, Floats, Bytes]:
    top = (1 << bits) - 1
    low = x.min(axis=1, keepdims=True)
    d = (x.max(axis=1, keepdims=True) - low) / np.float32(top)
    return d, low, _levels((x - low) * reciprocal(d) + np.float32(0.5), top)


def encode_q4_0(x: Floats) -> Bytes:
    """Quantize to 16 levels; the value of largest magnitude is hit exactly, at level 0."""
    d, q = _symmetric(x, 4)
    return np.concatenate([half_bytes(d), _join_nibbles(q)], axis=1)


def encode_q4_1(x: Floats) -> Bytes:
    """Quantize to 16 levels between minimum and maximum."""
    d, low, q = _affine(x, 4)
    return np.concatenate([half_bytes(d), half_bytes(low), _join_nibbles(q)], axis=1)


def encode_q5_0(x: Floats) -> Bytes:
    """Quantize to 32 levels; the value of largest magnitude is hit exactly, at level 0."""
    d, q = _symmetric(x, 5)
    high = np.packbits(q >> np.uint8(4), axis=1, bitorder="little")
    return np.concatenate([half_bytes(d), high, _join_nibbles(q)], axis=1)


def encode_q5_1(x: Floats) -> Bytes:
    """Quantize to 32 levels between minimum and maximum."""
    d, low, q = _affine(x, 5)
    high = np.packbits(q >> np.uint8(4), axis=1, bitorder="little")
    return np.concatenate([half_bytes(d), half_bytes(low), high, _join_nibbles(q)], axis=1)


def encode_q8_0(x: Floats) -> Bytes:
    """Quantize to −127..127 of the largest magnitude, halves away from zero."""
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    scaled = x * reciprocal(d)
    whole = np.trunc(scaled)
    q = whole + np.trunc(2 * (scaled - whole))
    return np.concatenate([half_bytes(d), q.astype(np.int8).view(np.uint8)], axis=1)
