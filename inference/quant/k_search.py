"""Quantizers of Q4_K, Q5_K and Q6_K: a search for scales, then packing.

Blocks [n, 256] float32 become [n, bytes] uint8. The search minimizes a weighted squared error over
a grid of scales, each refined by least squares; large weights count more. The bytes are our own
choice, not ggml's; the error is measured against the error ggml makes.
Source of the method: ggml-quants.c, make_qkx2_quants and make_qx_quants.
"""

from __future__ import annotations

import numpy as np

from inference.quant.legacy import Bytes, Floats, half_bytes, reciprocal

# Far below the smallest float16 scale, and high enough for the squares in the search.
_TINY = np.float32(1e-15)


def encode_q4_k(x: Floats) -> Bytes:
    """Quantize to ``d·scale·q − dmin·min``, 8 sub-blocks of 32 with 6-bit scale and min."""
    head, q = _affine_blocks(x, top=15)
    return np.concatenate([head, _nibble_pairs(q)], axis=1)


def encode_q5_k(x: Floats) -> Bytes:
    """As Q4_K with 32 levels; the fifth bits of the 8 sub-blocks share bytes."""
    head, q = _affine_blocks(x, top=31)
    shifts = np.arange(8, dtype=np.uint8)[None, :, None]
    fifths = np.bitwise_or.reduce((q >> np.uint8(4)) << shifts, axis=1)
    return np.concatenate([head, fifths, _nibble_pairs(q & np.uint8(15))], axis=1)


def _affine_blocks(x: Floats, top: int) -> tuple[Bytes, Bytes]:
    """Choose d, dmin, scales and mins [n, 16 bytes] and the levels 0..top [n, 8, 32]."""
    blocks = np.where(np.abs(x) < _TINY, np.float32(0), x).reshape(-1, 8, 32)
    weights = np.abs(blocks) + np.sqrt(np.mean(blocks * blocks, axis=2, keepdims=True))
    scales, mins = _affine_search(blocks, weights, top)
    d, packed_scales = _six_bits(scales)
    dmin, packed_mins = _six_bits(mins)
    step = (_as_half(d) * packed_scales)[:, :, None]
    low = (_as_half(dmin) * packed_mins)[:, :, None]
    q = np.clip(np.rint((blocks + low) * reciprocal(step)), 0, top).astype(np.uint8)
    fields = _pack_scales_and_mins(packed_scales.astype(np.uint8), packed_mins.astype(np.uint8))
    return np.concatenate([half_bytes(d), half_bytes(dmin), fields], axis=1), q


def _nibble_pairs(q: Bytes) -> Bytes:
    pairs = q.reshape(-1, 4, 2, 32)
    return (pairs[:, :, 0] | (pairs[:, :, 1] << np.uint8(4))).reshape(-1, 128)


def encode_q6_k(x: Floats) -> Bytes:
    """Quantize to ``d·scale·(q − 32)``, 16 sub-blocks of 16 with a signed 8-bit scale."""
    blocks = x.reshape(-1, 16, 16)
    scales = _symmetric_search(blocks, middle=32)
    extreme = np.take_along_axis(scales, np.abs(scales).argmax(axis=1, keepdims=True), axis=1)
    d = np.where(np.abs(extreme) < _TINY, np.float32(0), extreme / np.float32(-128))
    packed_scales = np.clip(np.rint(scales * reciprocal(d)), -128, 127).astype(np.float32)
    step = (_as_half(d) * packed_scales)[:, :, None]
    q = (np.clip(np.rint(blocks * reciprocal(step)), -32, 31) + 32).astype(np.uint8)
    halves = q.reshape(-1, 2, 4, 32)
    low = halves[:, :, :2] & np.uint8(15) | (halves[:, :, 2:] & np.uint8(15)) << np.uint8(4)
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8).reshape(1, 1, 4, 1)
    high = np.bitwise_or.reduce((halves >> np.uint8(4)) << shifts, axis=2)
    return np.concatenate(
        [
            low.reshape(-1, 128),
            high.reshape(-1, 64),
            packed_scales.astype(np.int8).view(np.uint8),
            half_bytes(d),
        ],
        axis=1,
    )


def _affine_search(x: Floats, weights: Floats, top: int) -> tuple[Floats, Floats]:
    """Find scale and min ≥ 0 of every sub-block for ``scale·q − min``, q in 0..top.

    Shapes:
        x, weights: [n, sub-blocks, width]
        returns: [n, sub-blocks] each
    """
    low = np.minimum(x.min(axis=2), np.float32(0))
    spread = x.max(axis=2) - low
    scale, minimum = spread / np.float32(top), low
    total, total_x = weights.sum(axis=2), (weights * x).sum(axis=2)

    def levels(steps: float) -> Floats:
        inverse = np.float32(steps) * reciprocal(spread)
        q: Floats = np.clip(np.rint(inverse[:, :, None] * (x - low[:, :, None])), 0, top)
        return q

    def error(scale: Floats, minimum: Floats, q: Floats) -> Floats:
        miss = scale[:, :, None] * q + minimum[:, :, None] - x
        return np.asarray((weights * miss * miss).sum(axis=2), dtype=np.float32)

    best = error(scale, minimum, levels(top))
    for steps in np.linspace(top - 1, top + 1, 21):
        q = levels(float(steps))
        weighted = weights * q
        sum_q, sum_qq = weighted.sum(axis=2), (weighted * q).sum(axis=2)
        sum_xq = (weighted * x).sum(axis=2)
        determinant = total * sum_qq - sum_q * sum_q
        inverse = reciprocal(np.maximum(determinant, 0))
        new_scale = (total * sum_xq - total_x * sum_q) * inverse
        new_min = (sum_qq * total_x - sum_q * sum_xq) * inverse
        positive = new_min > 0
        new_scale = np.where(positive, sum_xq * reciprocal(sum_qq), new_scale)
        new_min = np.where(positive, np.float32(0), new_min)
        new_error = error(new_scale, new_min, q)
        better = (determinant > 0) & (new_error < best)
        scale, minimum = np.where(better, new_scale, scale), np.where(better, new_min, minimum)
        best = np.where(better, new_error, best)
    return scale, -minimum


def _symmetric_search(x: Floats, middle: int) -> Floats:
    """Find the signed scale of every sub-block for ``scale·q``, q in −middle..middle−1.

    Shapes:
        x: [n, sub-blocks, width]
        returns: [n, sub-blocks]
    """
    at = np.abs(x).argmax(axis=2, keepdims=True)
    extreme = np.take_along_axis(x, at, axis=2)
    usable = np.where(np.abs(extreme) < _TINY, np.float32(0), extreme)
    weights = x * x
    scale = np.zeros(x.shape[:2], dtype=np.float32)
    best = np.zeros_like(scale)
    for step in sorted(range(-9, 10), key=abs):
        inverse = np.float32(-(middle + 0.1 * step)) * reciprocal(usable)
        q = np.clip(np.rint(inverse * x), -middle, middle - 1)
        sum_xq, sum_qq = (weights * x * q).sum(axis=2), (weights * q * q).sum(axis=2)
        new_scale = sum_xq * reciprocal(sum_qq)
        gain = new_scale * sum_xq
        better = gain > best
        scale, best = np.where(better, new_scale, scale), np.where(better, gain, best)
    return scale


def _six_bits(values: Floats) -> tuple[Floats, Floats]:
    """Round non-negative values [n, 8] to multiples 0..63 of a common unit [n, 1]."""
    unit = np.maximum(values.max(axis=1, keepdims=True), 0) / np.float32(63)
    return unit, np.clip(np.rint(values * reciprocal(unit)), 0, 63)


def _as_half(values: Floats) -> Floats:
    """Round to what float16 keeps, so that the levels are chosen for the stored scale."""
    return half_bytes(values).view(np.float16).astype(np.float32)


def _pack_scales_and_mins(scales: Bytes, mins: Bytes) -> Bytes:
    """Pack [n, 8] scales and mins of 6 bits to [n, 12]; the inverse of ``scales_and_mins``."""
    low_scales, high_scales = scales[:, :4], scales[:, 4:]
    low_mins, high_mins = mins[:, :4], mins[:, 4:]
    four, six = np.uint8(4), np.uint8(6)
    return np.concatenate(
        [
            low_scales | (high_scales >> four) << six,
            low_mins | (high_mins >> four) << six,
            (high_scales & np.uint8(15)) | (high_mins << four),
        ],
        axis=1,
    )
