"""Quantized weights times int8 activations on the CPU: the compiled loops.

Every kernel has the same arguments. A row of weights is unpacked once into unsigned bytes
(``levels``) that stay in the first-level cache, and is then multiplied with every token: int8
products are summed in int32 per block, and only block sums meet the float scales. The constant
part of a weight (Q4_0's −8, Q4_K's min, …) is paid once per block, through the activations' sums.

Shapes of the kernel arguments:
    raw: [rows, bytes] uint8, the blocks as they lie in the file
    q: [n, k] int8; scales: [n, k/32] float32; sums: [n, k/16] int32
    out: [n, rows] float32; rows ``first`` … ``last − 1`` are written
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from inference.kernels.qmatmul.vectors import (
    dot16,
    dot32,
    unpack_fives,
    unpack_nibbles,
    unpack_q4_k,
    unpack_q5_k,
    unpack_q6_k,
    unpack_signed,
)

I32, F32, U8 = np.int32, np.float32, np.uint8


@njit(cache=True, nogil=True)
def quantize_rows(x, bits, q, scales):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill q and scales from x; ``bits`` is x seen as int32, where order of magnitude is order."""
    for t in range(x.shape[0]):
        for b in range(scales.shape[1]):
            largest = I32(0)
            for i in range(32 * b, 32 * b + 32):
                largest = max(largest, bits[t, i] & I32(0x7FFFFFFF))
            scale = I32(largest).view(F32) / F32(127)
            # Below the smallest normal number the reciprocal overflows; infinities and NaN make
            # the whole block NaN, so that they are seen in the result.
            if largest >= I32(0x7F800000):
                scales[t, b] = F32(np.nan)
                inverse = F32(0)
            elif scale < F32(1.1754944e-38):
                scales[t, b] = F32(0)
                inverse = F32(0)
            else:
                scales[t, b] = scale
                inverse = F32(1) / scale
            for i in range(32 * b, 32 * b + 32):
                if inverse == F32(0):
                    q[t, i] = 0
                else:
                    v = F32(x[t, i] * inverse)
                    whole = F32(np.trunc(v))
                    q[t, i] = I32(whole + F32(np.trunc(F32(2) * (v - whole))))


@njit(cache=True, nogil=True)
def sum_groups(q, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``sums`` with the sums of 16 neighbouring activations."""
    for t in range(q.shape[0]):
        for g in range(sums.shape[1]):
            total = I32(0)
            for i in range(16 * g, 16 * g + 16):
                total += I32(q[t, i])
            sums[t, g] = total


@njit(inline="always")
def _half(low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Widen a float16, given as two bytes; subnormal numbers, infinities and NaN included."""
    h = I32(low) | (I32(high) << I32(8))
    magnitude = (h & I32(0x7FFF)) << I32(13)
    value = I32(magnitude).view(F32) * F32(2.0**112)
    if (h & I32(0x7C00)) == I32(0x7C00):
        value = I32(magnitude | I32(0x7F800000)).view(F32)
    return -value if h & I32(0x8000) else value


@njit(inline="always")
def _scale_min(b, j, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Unpack the 6-bit scale and min of sub-block j from the 12 bytes at ``at``."""
    if j < 4:
        return b[at + j] & U8(63), b[at + j + 4] & U8(63)
    high = b[at + j + 4]
    return (
        (high & U8(15)) | ((b[at + j - 4] >> U8(6)) << U8(4)),
        (high >> U8(4)) | ((b[at + j] >> U8(6)) << U8(4)),
    )


@njit(cache=True, nogil=True)
def _dot_offset(levels, s, offset, q, scales, sums, out, row):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Weights ``s·(level − offset)`` with one scale per 32."""
    for t in range(q.shape[0]):
        token, total = q[t], F32(0)
        for b in range(s.shape[0]):
            dot = dot32(levels, token, 32 * b)
            dot = I32(dot - offset * (sums[t, 2 * b] + sums[t, 2 * b + 1]))
            total += F32(dot) * (s[b] * scales[t, b])
        out[t, row] = total


@njit(cache=True, nogil=True)
def _dot_min(levels, s, m, q, scales, sums, out, row):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Weights ``s·level + m`` with one scale and one constant per 32."""
    for t in range(q.shape[0]):
        token, total = q[t], F32(0)
        for b in range(s.shape[0]):
            dot = dot32(levels, token, 32 * b)
            constant = I32(sums[t, 2 * b] + sums[t, 2 * b + 1])
            total += (F32(dot) * s[b] + F32(constant) * m[b]) * scales[t, b]
        out[t, row] = total


@njit(cache=True, nogil=True)
def _dot_halves(levels, s, offset, q, scales, sums, out, row):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Weights ``s·(level − offset)`` with one scale per 16."""
    for t in range(q.shape[0]):
        token, total = q[t], F32(0)
        for b in range(scales.shape[1]):
            left = I32(dot16(levels, token, 32 * b) - offset * sums[t, 2 * b])
            right = I32(dot16(levels, token, 32 * b + 16) - offset * sums[t, 2 * b + 1])
            total += (F32(left) * s[2 * b] + F32(right) * s[2 * b + 1]) * scales[t, b]
        out[t, row] = total


@njit(cache=True, nogil=True)
def q4_0(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·(q − 8)``."""
    levels, s = np.empty(q.shape[1], U8), np.empty(scales.shape[1], F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(s.shape[0]):
            at = 18 * i
            s[i] = _half(b[at], b[at + 1])
            unpack_nibbles(b, at + 2, levels, 32 * i)
        _dot_offset(levels, s, I32(8), q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q4_1(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·q + m``."""
    blocks = scales.shape[1]
    levels, s, m = np.empty(q.shape[1], U8), np.empty(blocks, F32), np.empty(blocks, F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(blocks):
            at = 20 * i
            s[i] = _half(b[at], b[at + 1])
            m[i] = _half(b[at + 2], b[at + 3])
            unpack_nibbles(b, at + 4, levels, 32 * i)
        _dot_min(levels, s, m, q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q5_0(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·(q − 16)``."""
    levels, s = np.empty(q.shape[1], U8), np.empty(scales.shape[1], F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(s.shape[0]):
            at = 22 * i
            s[i] = _half(b[at], b[at + 1])
            unpack_fives(b, at + 2, levels, 32 * i)
        _dot_offset(levels, s, I32(16), q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q5_1(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·q + m``."""
    blocks = scales.shape[1]
    levels, s, m = np.empty(q.shape[1], U8), np.empty(blocks, F32), np.empty(blocks, F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(blocks):
            at = 24 * i
            s[i] = _half(b[at], b[at + 1])
            m[i] = _half(b[at + 2], b[at + 3])
            unpack_fives(b, at + 4, levels, 32 * i)
        _dot_min(levels, s, m, q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q8_0(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·q``, read as ``d·(level − 128)``."""
    levels, s = np.empty(q.shape[1], U8), np.empty(scales.shape[1], F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(s.shape[0]):
            at = 34 * i
            s[i] = _half(b[at], b[at + 1])
            unpack_signed(b, at + 2, levels, 32 * i)
        _dot_offset(levels, s, I32(128), q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q4_k(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·scale·q − dmin·min``; 32 low nibbles first, 32 high nibbles after."""
    blocks = scales.shape[1]
    levels, s, m = np.empty(q.shape[1], U8), np.empty(blocks, F32), np.empty(blocks, F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(blocks // 8):
            at = 144 * i
            d, dmin = _half(b[at], b[at + 1]), _half(b[at + 2], b[at + 3])
            for j in range(8):
                scale, minimum = _scale_min(b, j, at + 4)
                s[8 * i + j] = d * F32(scale)
                m[8 * i + j] = -dmin * F32(minimum)
            unpack_q4_k(b, at + 16, levels, 256 * i)
        _dot_min(levels, s, m, q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q5_k(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·scale·q − dmin·min``; nibbles as in Q4_K, the fifth bits bit-plane by bit-plane."""
    blocks = scales.shape[1]
    levels, s, m = np.empty(q.shape[1], U8), np.empty(blocks, F32), np.empty(blocks, F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(blocks // 8):
            at = 176 * i
            d, dmin = _half(b[at], b[at + 1]), _half(b[at + 2], b[at + 3])
            for j in range(8):
                scale, minimum = _scale_min(b, j, at + 4)
                s[8 * i + j] = d * F32(scale)
                m[8 * i + j] = -dmin * F32(minimum)
            unpack_q5_k(b, at + 16, levels, 256 * i)
        _dot_min(levels, s, m, q, scales, sums, out, row)


@njit(cache=True, nogil=True)
def q6_k(raw, q, scales, sums, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``d·scale·(q − 32)`` with a signed 8-bit scale per 16."""
    groups = sums.shape[1]
    levels, s = np.empty(q.shape[1], U8), np.empty(groups, F32)
    for row in range(first, last):
        b = raw[row]
        for i in range(groups // 16):
            at = 210 * i
            d = _half(b[at + 208], b[at + 209])
            for j in range(16):
                s[16 * i + j] = d * F32(np.int8(b[at + 192 + j]))
            unpack_q6_k(b, at, levels, 256 * i)
        _dot_halves(levels, s, I32(32), q, scales, sums, out, row)


def quantize_activations(
    x: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round activations to int8 with one float32 scale per 32, halves away from zero.

    The rounding is that of ggml's Q8_0 reference quantizer, but the scale keeps full precision.
    A block with NaN or infinity gets scale NaN; one whose scale is below the normal range is zero.

    Shapes:
        x: [n, k], k a multiple of 32
        returns: q [n, k] and scales [n, k/32]
    """
    n, k = x.shape
    if k % 32 or x.dtype != np.float32:
        raise ValueError(
            f"quantize_activations: needs float32 rows of a multiple of 32, got {x.dtype}{x.shape}"
        )
    x = np.ascontiguousarray(x)
    q, scales = np.empty((n, k), dtype=np.int8), np.empty((n, k // 32), dtype=np.float32)
    quantize_rows(x, x.view(np.int32), q, scales)
    return q, scales


def activation_sums(q: NDArray[np.int8]) -> NDArray[np.int32]:
    """Sum 16 neighbouring activations: [n, k] to [n, k/16]. Exact, and independent of weights."""
    q = np.ascontiguousarray(q)
    sums = np.empty((q.shape[0], q.shape[1] // 16), dtype=np.int32)
    sum_groups(q, sums)
    return sums
