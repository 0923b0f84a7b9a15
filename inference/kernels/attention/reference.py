"""Scaled dot-product attention of one head: softmax(Q·Kᵀ / √d) · V."""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.matmul.reference import dot
from inference.kernels.nested import plain
from inference.kernels.softmax.reference import softmax_row
from pytest_contracts.binding import contract


@contract("attention-kernel-v1", equation="attention", implementation="reference")
def attention(q: Any, k: Any, v: Any, causal_offset: int | None = None) -> list[list[float]]:
    """Mix the rows of ``v`` by how well each query matches each key.

    Query i sees keys 0..causal_offset + i, or all keys when ``causal_offset`` is None.

    Shapes:
        q: [n, d]; k: [s, d]; v: [s, dv]
        returns: [n, dv] nested lists of floats
    Source: Vaswani et al. 2017, equation 1.
    """
    q, k, v = plain(q), plain(k), plain(v)
    mixed = []
    for i, q_i in enumerate(q):
        seen = len(k) if causal_offset is None else causal_offset + i + 1
        weights = attention_weights(q_i, k[:seen])
        mixed.append([dot(weights, column) for column in zip(*v[:seen], strict=True)])
    return mixed


def attention_weights(q: Any, k: Any) -> list[float]:
    """Return the softmax over keys of one query's scores: they sum to one."""
    scale = 1.0 / math.sqrt(len(q))
    return softmax_row([dot(q, k_j) * scale for k_j in k])
