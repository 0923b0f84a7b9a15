"""Procedures of gqa-kernel-v1: refusal of uneven groups, and the head map over all small sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume

from inference.kernels.gqa import reference


def indivisible_heads_are_refused(
    implementation: Callable[..., Any],
    heads: int,
    kv_heads: int,
    compared: Callable[..., None],
) -> None:
    """A ratio of heads that is no integer raises ValueError and names both numbers."""
    assume(heads % kv_heads)
    q = np.ones((1, heads, 2), np.float32)
    k = np.ones((1, kv_heads, 2), np.float32)
    with pytest.raises(ValueError, match=f"{kv_heads} key/value heads do not divide {heads}"):
        implementation(q, k, k)
    compared(1, what="refusals")


def verify_head_map(k: Any) -> None:
    """Groups are consecutive and equal: head h = g·r + i with i < r belongs to g."""
    kv_heads = k.int("kv_heads", 1, 8)
    group = k.int("group", 1, 8)
    heads = kv_heads * group
    g = k.int("g", 0, 7)
    i = k.int("i", 0, 7)
    k.assume(g < kv_heads)
    k.assume(i < group)
    assert reference.kv_head(g * group + i, heads, kv_heads) == g
