"""NormalFloat of 4 bits: sixteen levels where normally distributed weights lie, one scale a block.

Source: Dettmers et al. 2023, QLoRA, section 3 and appendix E (the table). The quantile formula of
the text is symmetric and has no zero; the published table, which implementations use, has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

BLOCK = 64
LEVELS = np.array(
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ],
    np.float32,
)
_THRESHOLDS = ((LEVELS[1:].astype(np.float64) + LEVELS[:-1]) / 2).astype(np.float32)


def nf4_codes(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the code 0..15 of the level nearest to every value of [−1, 1]."""
    return np.searchsorted(_THRESHOLDS, x, side="left").astype(np.uint8)


def quantize_nf4(
    x: NDArray[np.float32], *, block: int = BLOCK
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantize to codes of 4 bits, two a byte, and the largest magnitude of every block.

    Shapes:
        x: any shape, taken flat; the last block may be short
        returns: codes [⌈n / 2⌉] uint8, the first of a pair in the high half; scales [blocks]

    Raises:
        ValueError: not float32, no weights, values that are not finite, a block below 1.
    """
    if x.dtype != np.float32 or x.size == 0 or block < 1:
        raise ValueError(f"quantize_nf4: needs float32 weights, got {x.dtype}{x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("quantize_nf4: cannot hold NaN or infinite values")
    flat = np.pad(x.reshape(-1), (0, -x.size % block)).reshape(-1, block)
    absmax = np.abs(flat).max(axis=1)
    unit = np.where(absmax > 0, absmax, np.float32(1)).astype(np.float32)
    codes = nf4_codes(flat / unit[:, None]).reshape(-1)[: x.size]
    pairs = np.pad(codes, (0, x.size % 2))
    return pairs[::2] << np.uint8(4) | pairs[1::2], absmax


def dequantize_nf4(
    codes: NDArray[np.uint8],
    absmax: NDArray[np.float32],
    shape: Sequence[int],
    *,
    block: int = BLOCK,
) -> NDArray[np.float32]:
    """Expand codes and scales to float32 of ``shape``; the inverse of ``quantize_nf4``.

    ``ValueError`` when the codes or the scales are not those of that many weights.
    """
    count = prod(shape)
    if codes.size != -(-count // 2) or absmax.size != -(-count // block):
        raise ValueError(
            f"dequantize_nf4: {count} weights take {-(-count // 2)} bytes and "
            f"{-(-count // block)} scales, got {codes.size} and {absmax.size}"
        )
    levels = LEVELS[np.stack([codes >> 4, codes & 15], axis=1).reshape(-1)[:count]]
    return (levels * np.repeat(absmax, block)[:count]).reshape(shape)
