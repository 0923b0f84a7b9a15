"""Quantized weights times int8 activations on the CPU: the compiled functions.

Every kernel has the same arguments. Int8 products are summed in int32 per block of 32, and only
block sums meet the float scales. The constant part of a weight (Q4_0's −8, Q4_K's min, …) is paid
once per block, through the activations' sums: these are the corrections.

Shapes of the kernel arguments:
    packed: [groups · bytes per group] uint8, 16 rows interleaved, see ``layouts``
    q: [n, k] int8; scales: [n, k/32] float32; corrections: [n, k/32] or [n, k/16] int32
    out: [n, 16 · groups] float32; row groups ``first`` … ``last − 1`` are written
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from inference.kernels.qmatmul.layouts import LAYOUTS
from inference.kernels.qmatmul.product import (
    LEVEL_BYTES,
    SCALE_BYTES,
    TILE,
    correction_factor,
    product,
)
from inference.quant.types import GGMLType

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


@njit(cache=True, nogil=True)
def fill_corrections(sums, scales, form, factor, corrections):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare what the constant part of the weights adds: form 0 offset, 1 minimum, 2 halves."""
    for t in range(scales.shape[0]):
        for b in range(scales.shape[1]):
            left, right = sums[t, 2 * b], sums[t, 2 * b + 1]
            if form == 0:
                corrections[t, b] = factor * (left + right)
            elif form == 1:
                corrections[t, b] = F32(F32(I32(left + right)) * scales[t, b]).view(I32)
            else:
                corrections[t, 2 * b] = factor * left
                corrections[t, 2 * b + 1] = factor * right


@njit(inline="always")
def _scratch(tokens, blocks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Memory for one group of rows in bytes, none if the tokens are few."""
    size = blocks * (LEVEL_BYTES + SCALE_BYTES) + 64 if tokens >= TILE else 64
    scratch = np.empty(size, U8)
    return scratch[-scratch.ctypes.data % 64 :]


_q4_0 = product(GGMLType.Q4_0)
_q4_1 = product(GGMLType.Q4_1)
_q5_0 = product(GGMLType.Q5_0)
_q5_1 = product(GGMLType.Q5_1)
_q8_0 = product(GGMLType.Q8_0)
_q4_k = product(GGMLType.Q4_K)
_q5_k = product(GGMLType.Q5_K)
_q6_k = product(GGMLType.Q6_K)


def _version() -> int:
    """Digest the sources of the generated code, which Numba's cache does not look at."""
    digest = sha256()
    for name in ("lanes", "layouts", "product", "target", "unpacking"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _kernels(version: int) -> SimpleNamespace:
    """Define the kernels. ``version`` is in their closure, and so in the key of Numba's cache."""

    @njit(cache=True, nogil=True)
    def q4_0(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·(q − 8)``."""
        n, blocks = scales.shape
        _q4_0(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q4_1(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·q + m``."""
        n, blocks = scales.shape
        _q4_1(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q5_0(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·(q − 16)``."""
        n, blocks = scales.shape
        _q5_0(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q5_1(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·q + m``."""
        n, blocks = scales.shape
        _q5_1(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q8_0(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·q``."""
        n, blocks = scales.shape
        _q8_0(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q4_k(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·scale·q − dmin·min``."""
        n, blocks = scales.shape
        _q4_k(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q5_k(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·scale·q − dmin·min``."""
        n, blocks = scales.shape
        _q5_k(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    @njit(cache=True, nogil=True)
    def q6_k(packed, q, scales, corrections, out, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``d·scale·(q − 32)``."""
        n, blocks = scales.shape
        _q6_k(
            packed, blocks, q, scales, corrections, out, out.shape[1], _scratch(n, blocks),
            n, first, last,
        )  # fmt: skip
        return version

    return SimpleNamespace(**{name: value for name, value in locals().items() if name != "version"})


_compiled = _kernels(_version())
q4_0, q4_1, q5_0, q5_1 = _compiled.q4_0, _compiled.q4_1, _compiled.q5_0, _compiled.q5_1
q8_0, q4_k, q5_k, q6_k = _compiled.q8_0, _compiled.q4_k, _compiled.q5_k, _compiled.q6_k


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


def activation_corrections(
    q: NDArray[np.int8], scales: NDArray[np.float32], dtype: GGMLType
) -> NDArray[np.int32]:
    """Prepare what a type's constant part adds to each block, in the bits that its kernel reads."""
    form = ("offset", "minimum", "halves").index(LAYOUTS[dtype].form)
    per_block = 2 if form == 2 else 1
    corrections = np.empty((scales.shape[0], per_block * scales.shape[1]), dtype=np.int32)
    fill_corrections(activation_sums(q), scales, form, I32(correction_factor(dtype)), corrections)
    return corrections
