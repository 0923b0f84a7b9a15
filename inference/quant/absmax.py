"""Integers of 4 or 8 bits with one scale per group: the largest magnitude becomes the top level.

``quantize_int`` is the general form (per row, or per group of a row); the two types that APR files
name are here as well. Source: Dettmers et al. 2022, LLM.int8(), section 2; APR v2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.quant.legacy import Bytes, Floats, half, half_bytes, reciprocal

_TINY_HALF = np.finfo(np.float16).tiny


def quantize_int(
    x: Floats, bits: int, *, group: int | None = None
) -> tuple[NDArray[np.int8], Floats]:
    """Quantize to integers of −(2^(bits−1) − 1) … 2^(bits−1) − 1, one scale per group.

    Shapes:
        x: [..., cols]; ``group`` divides cols, ``None`` takes whole rows (per-channel)
        returns: integers [..., cols], scales [..., cols / group]

    The error of a value is at most half its group's scale. A group of zeros has scale 1.

    Raises:
        ValueError: other bits than 4 or 8, a group that does not divide the row, values that are
            not finite.
    """
    if bits not in (4, 8):
        raise ValueError(f"quantize_int: 4 and 8 bits are supported, not {bits}")
    cols = x.shape[-1] if x.ndim else 0
    group = cols if group is None else group
    if x.dtype != np.float32 or group < 1 or cols % group:
        raise ValueError(
            f"quantize_int: needs float32 rows of whole groups of {group}, got {x.dtype}{x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError("quantize_int: cannot hold NaN or infinite values")
    top = 2 ** (bits - 1) - 1
    grouped = x.reshape(*x.shape[:-1], -1, group)
    scales = _absmax_scales(grouped, top)
    levels = np.rint(np.clip(grouped / scales[..., None], -top, top))
    return levels.astype(np.int8).reshape(x.shape), scales


def dequantize_int(levels: NDArray[np.int8], scales: Floats) -> Floats:
    """Return levels times the scale of their group; the inverse of ``quantize_int``."""
    grouped = levels.reshape(*scales.shape, -1).astype(np.float32) * scales[..., None]
    return grouped.reshape(levels.shape)


def _absmax_scales(grouped: Floats, top: int) -> Floats:
    """Return max|x| / top along the last axis; 1 where that is no normal number."""
    scales = (np.abs(grouped).max(axis=-1) / np.float32(top)).astype(np.float32)
    return np.where(scales >= np.finfo(np.float32).tiny, scales, np.float32(1))


def encode_apr_q4(x: Floats) -> Bytes:
    """Quantize blocks [n, 32] to ``(q − 8)·d``; 18 bytes: d, pairs of neighbours."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    d = np.where(largest == 0, np.float32(1), largest / np.float32(7))
    stored = half(half_bytes(d), 0)
    levels = np.rint(x * reciprocal(np.where(stored < _TINY_HALF, np.float32(0), stored)))
    q = (np.clip(levels, -8, 7) + 8).astype(np.uint8)
    return np.concatenate([half_bytes(d), q[:, ::2] | q[:, 1::2] << np.uint8(4)], axis=1)


def decode_apr_q4(blocks: Bytes, out: Floats) -> None:
    """``(q − 8)·d``, neighbours in one byte; a scale that is no normal number counts as 0."""
    d = half(blocks, 0)
    d = np.where(np.isfinite(d) & (np.abs(d) >= _TINY_HALF), d, np.float32(0))
    pairs = np.stack([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=2)
    out[...] = pairs.reshape(out.shape).view(np.int8) - np.int8(8)
    out *= d


def encode_apr_q8(x: Floats) -> Bytes:
    """Quantize a whole tensor: its float32 scale, then one signed byte per weight, flat."""
    levels, scale = quantize_int(x.reshape(1, -1), 8)
    return np.concatenate([scale.astype("<f4").view(np.uint8).ravel(), levels.view(np.uint8)[0]])


def tensor_scale(stored: Bytes) -> np.float32:
    """Return the scale in four bytes; one that is no normal number counts as 0."""
    scale = np.frombuffer(stored.tobytes(), "<f4")[0]
    usable = np.isfinite(scale) and abs(scale) >= np.finfo(np.float32).tiny
    return np.float32(scale) if usable else np.float32(0)
