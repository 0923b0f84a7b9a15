"""Scaled dot-product attention of one head in float32.

Both products go through BLAS (float32 accumulation); the softmax is the softmax room's, run over
the keys that a query may see.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.softmax.cpu import softmax_row
from pytest_contracts.binding import contract


@contract("attention-kernel-v1", equation="attention", implementation="cpu")
def attention(q: Float32, k: Float32, v: Float32, causal_offset: int | None = None) -> Float32:
    """Mix the rows of ``v`` by how well each query matches each key.

    Query i sees keys 0..causal_offset + i, or all keys when ``causal_offset`` is None.

    Shapes:
        q: [n, d] float32; k: [s, d] float32; v: [s, dv] float32
        returns: [n, dv] float32
    Raises:
        TypeError: q, k or v is not a float32 array.
        ValueError: shapes do not fit, there is no key, or a query lacks keys that it should see.
    Contract: contracts/kernels/attention-kernel-v1.yaml
    """
    q = float32_array("attention", "q", q, ndim=2)
    k = float32_array("attention", "k", k, ndim=2)
    v = float32_array("attention", "v", v, ndim=2)
    same_size("attention", "q.shape[1]", q.shape[1], "k.shape[1]", k.shape[1])
    same_size("attention", "k.shape[0]", k.shape[0], "v.shape[0]", v.shape[0])
    scores = scaled(q @ k.T, q.shape[1])
    weights = causal_softmax("attention", scores[np.newaxis], causal_offset)[0]
    mixed: Float32 = weights @ v
    return mixed


def scaled(products: Float32, head_dim: int) -> Float32:
    """Multiply in place by 1/√head_dim: the scores' variance no longer grows with head_dim."""
    products *= np.float32(1.0 / math.sqrt(head_dim))
    return products


def causal_softmax(
    kernel: str, scores: Float32, start: int | None, window: int | None = None
) -> Float32:
    """Softmax over the keys that each query may see; the others get weight zero.

    Shapes:
        scores: [heads, n, s] float32, C-contiguous; query i sees keys 0..start + i, None: all;
            of these the last ``window``, None: all
        returns: [heads, n, s] float32
    Raises:
        ValueError: there is no key, ``start`` is negative, keys up to start + n − 1 are missing, or
            ``window`` is not positive.
    """
    queries, keys = scores.shape[1:]
    if keys == 0:
        raise ValueError(f"{kernel}: there is no key to attend to")
    if start is None:
        first, step = keys, 0
    elif start < 0 or start + queries > keys:
        raise ValueError(
            f"{kernel}: {queries} queries from position {start} see keys up to"
            f" {start + queries - 1}, but k has keys 0..{keys - 1}"
        )
    else:
        first, step = start + 1, 1
    if window is not None and window < 1:
        raise ValueError(f"{kernel}: the window is {window}, but must be positive")
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
