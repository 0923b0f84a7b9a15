"""Grouped-query attention in float32, in three steps that a trace can look between.

Keys and values are never repeated per query head: the r query heads of a group are stacked into one
matrix and multiplied by the group's keys, which BLAS reads in place with their stride.
"""

from __future__ import annotations

import numpy as np

from inference.kernels import gqa as room
from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.attention import check_keys
from inference.kernels.attention.cpu import causal_softmax, scaled
from inference.kernels.gqa import group_size


@room.gqa.implementation("cpu")
def gqa(q: Float32, k: Float32, v: Float32, start: int | None = None) -> Float32:
    """Take the three steps one after the other."""
    return gqa_mix(gqa_softmax(gqa_scores(q, k), start), v)


def gqa_scores(q: Float32, k: Float32) -> Float32:
    """Return q·kᵀ/√d of every query head with its group's keys, before any mask.

    Shapes:
        q: [n, H, d]; k: [s, KV, d]
        returns: [H, n, s] float32
    """
    q = float32_array("gqa", "q", q, ndim=3)
    k = float32_array("gqa", "k", k, ndim=3)
    same_size("gqa", "q.shape[2]", q.shape[2], "k.shape[2]", k.shape[2])
    (n, heads, d), (s, kv_heads, _) = q.shape, k.shape
    group = group_size(heads, kv_heads)
    queries = q.reshape(n, kv_heads, group, d).transpose(1, 2, 0, 3).reshape(kv_heads, group * n, d)
    products = np.matmul(queries, k.transpose(1, 2, 0))  # [KV, r·n, s]
    return scaled(products, d).reshape(heads, n, s)


def gqa_softmax(scores: Float32, start: int | None = None, window: int | None = None) -> Float32:
    """Return the attention weights: softmax over the keys that each query may see, zero elsewhere.

    With a ``window``, a query sees only the last ``window`` of the keys that it would see.

    Shapes:
        scores: [H, n, s]
        returns: [H, n, s] float32
    """
    scores = float32_array("gqa", "scores", scores, ndim=3)
    check_keys("gqa", scores.shape[1], scores.shape[2], start)
    if window is not None and window < 1:
        raise ValueError(f"gqa: the window is {window}, but must be positive")
    return causal_softmax(np.ascontiguousarray(scores), start, window)


def gqa_mix(weights: Float32, v: Float32) -> Float32:
    """Return each query head's weighted sum of its group's values.

    Shapes:
        weights: [H, n, s]; v: [s, KV, dv]
        returns: [n, H, dv] float32
    """
    weights = float32_array("gqa", "weights", weights, ndim=3)
    v = float32_array("gqa", "v", v, ndim=3)
    same_size("gqa", "the number of weights", weights.shape[2], "v.shape[0]", v.shape[0])
    (heads, n, s), (_, kv_heads, dv) = weights.shape, v.shape
    group = group_size(heads, kv_heads)
    mixed = np.matmul(weights.reshape(kv_heads, group * n, s), v.transpose(1, 0, 2))
    by_token: Float32 = mixed.reshape(heads, n, dv).transpose(1, 0, 2)
    return np.ascontiguousarray(by_token)
