"""Grouped-query attention: multi-head when every head has its own keys, multi-query when one has.

On the CPU it is ``gqa_mix(gqa_softmax(gqa_scores(q, k), start), v)``, whose steps a trace looks
between; ``blocked`` does the same over the cache that compiled code extends.
"""

from __future__ import annotations

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.attention import check_keys
from inference.kernels.signature import Run, signature

__all__ = ["gqa", "group_size"]


@signature("gqa-kernel-v1")
def gqa(run: Run, q: Float32, k: Float32, v: Float32, start: int | None = None) -> Float32:
    """Attend head by head, each query head to the keys and values of its group.

    Query i is the token at position start + i and sees keys 0..start + i; None: all keys.

    Shapes:
        q: [n, H, d] float32; k: [s, KV, d] float32; v: [s, KV, dv] float32; KV divides H
        returns: [n, H, dv] float32
    Raises:
        TypeError: q, k or v is not a float32 array.
        ValueError: shapes do not fit, KV does not divide H, or keys are missing.
    Contract: contracts/kernels/gqa-kernel-v1.yaml
    """
    q = float32_array("gqa", "q", q, ndim=3)
    k = float32_array("gqa", "k", k, ndim=3)
    v = float32_array("gqa", "v", v, ndim=3)
    same_size("gqa", "q.shape[2]", q.shape[2], "k.shape[2]", k.shape[2])
    same_size("gqa", "the number of weights", k.shape[0], "v.shape[0]", v.shape[0])
    same_size("gqa", "k.shape[1]", k.shape[1], "v.shape[1]", v.shape[1])
    group_size(q.shape[1], k.shape[1])
    check_keys("gqa", q.shape[0], k.shape[0], start)
    return run(q, k, v, start)


def group_size(heads: int, kv_heads: int) -> int:
    """Return how many query heads share a key/value head; ValueError where that is no number."""
    if kv_heads == 0 or heads % kv_heads:
        raise ValueError(f"gqa: {kv_heads} key/value heads do not divide {heads} query heads")
    return heads // kv_heads
