"""Grouped-query attention: multi-head when every head has its own keys, multi-query when one has.

``gqa`` is ``gqa_mix(gqa_softmax(gqa_scores(q, k), start), v)``; the steps are public for traces.
"""

from __future__ import annotations

from inference.kernels.gqa.blocked import blocked_mix, blocked_scores, gqa_blocked
from inference.kernels.gqa.cpu import gqa, gqa_mix, gqa_scores, gqa_softmax

__all__ = [
    "blocked_mix",
    "blocked_scores",
    "gqa",
    "gqa_blocked",
    "gqa_mix",
    "gqa_scores",
    "gqa_softmax",
]
