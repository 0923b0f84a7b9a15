"""Attention of one head, full or causal."""

from __future__ import annotations

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.signature import Run, signature

__all__ = ["attention", "check_keys"]


@signature("attention-kernel-v1")
def attention(
    run: Run, q: Float32, k: Float32, v: Float32, causal_offset: int | None = None
) -> Float32:
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
    check_keys("attention", q.shape[0], k.shape[0], causal_offset)
    return run(q, k, v, causal_offset)


def check_keys(kernel: str, queries: int, keys: int, start: int | None) -> None:
    """Check that every query has the keys that it should see: 0..start + i; None: all.

    Raises:
        ValueError: there is no key, ``start`` is negative, or keys up to start + queries − 1 are
            missing.
    """
    if keys == 0:
        raise ValueError(f"{kernel}: there is no key to attend to")
    if start is not None and (start < 0 or start + queries > keys):
        raise ValueError(
            f"{kernel}: {queries} queries from position {start} see keys up to"
            f" {start + queries - 1}, but k has keys 0..{keys - 1}"
        )
