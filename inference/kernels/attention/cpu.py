"""Scaled dot-product attention of one head in float32.

Both products go through BLAS (float32 accumulation); the softmax is the softmax room's, run over
the keys that a query may see.
"""

from __future__ import annotations

import math

import numpy as np

from inference.kernels import attention as room
from inference.kernels.arguments import Float32
from inference.kernels.cpu.compiled import njit
from inference.kernels.softmax.cpu import softmax_row


@room.attention.implementation("cpu")
def attention(q: Float32, k: Float32, v: Float32, causal_offset: int | None = None) -> Float32:
    """Multiply by BLAS, with the compiled softmax between."""
    scores = scaled(q @ k.T, q.shape[1])
    weights = causal_softmax(scores[np.newaxis], causal_offset)[0]
    mixed: Float32 = weights @ v
    return mixed


def scaled(products: Float32, head_dim: int) -> Float32:
    """Multiply in place by 1/√head_dim: the scores' variance no longer grows with head_dim."""
    products *= np.float32(1.0 / math.sqrt(head_dim))
    return products


def causal_softmax(scores: Float32, start: int | None, window: int | None = None) -> Float32:
    """Softmax over the keys that each query may see; the others get weight zero.

    Shapes:
        scores: [heads, n, s] float32, C-contiguous; query i sees keys 0..start + i, None: all;
            of these the last ``window``, None: all
        returns: [heads, n, s] float32
    """
    keys = scores.shape[2]
    if start is None:
        first, step = keys, 0
    else:
        first, step = start + 1, 1
    out = np.empty(scores.shape, np.float32)
    _softmax_windows(scores, first, step, keys if window is None else window, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax_windows(scores, first, step, window, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for head in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            seen = first + i * step
            gone = max(0, seen - window)
            out[head, i, :gone] = np.float32(0.0)
            softmax_row(scores[head, i, gone:seen], out[head, i, gone:seen])
            out[head, i, seen:] = np.float32(0.0)
