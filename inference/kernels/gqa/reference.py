"""Grouped-query attention: H query heads share KV key/value heads in groups of r = H / KV."""

from __future__ import annotations

from typing import Any

from inference.kernels.attention.reference import attention
from inference.kernels.nested import plain
from pytest_contracts.binding import contract


def kv_head(head: int, heads: int, kv_heads: int) -> int:
    """Return the key/value head that serves a query head: ⌊head · kv_heads / heads⌋."""
    return head * kv_heads // heads


@contract("gqa-kernel-v1", equation="gqa", implementation="reference")
def gqa(q: Any, k: Any, v: Any, start: int | None = None) -> list[list[list[float]]]:
    """Attend head by head, each query head to the keys and values of its group.

    Query i is the token at position start + i and sees keys 0..start + i; None: all keys.

    Shapes:
        q: [n, H, d]; k: [s, KV, d]; v: [s, KV, dv]; KV divides H
        returns: [n, H, dv] nested lists of floats
    Raises:
        ValueError: KV does not divide H.
    Source: Ainslie et al. 2023.
    """
    q, k, v = plain(q), plain(k), plain(v)
    heads, kv_heads = len(q[0]), len(k[0])
    if heads % kv_heads != 0:
        raise ValueError(f"gqa: {kv_heads} key/value heads do not divide {heads} query heads")
    by_head = []
    for h in range(heads):
        g = kv_head(h, heads, kv_heads)
        by_head.append(
            attention([q_i[h] for q_i in q], [k_j[g] for k_j in k], [v_j[g] for v_j in v], start)
        )
    return [[by_head[h][i] for h in range(heads)] for i in range(len(q))]
