"""The rules of sampling in scalar Python, one rank and one sum at a time.

What `transforms.py` does over whole arrays; here to be read, and to be run by symbolic engines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def greedy(logits: Sequence[float]) -> int:
    """Return the place of the largest logit, the first among equals."""
    best = 0
    for i in range(1, len(logits)):
        if logits[i] > logits[best]:
            best = i
    return best


def top_k(logits: Sequence[float], k: int) -> list[float]:
    """Keep the ``k`` largest logits, the first among equals; -inf takes the others' place."""
    kept = _ranked(logits)[:k]
    return [x if i in kept else -math.inf for i, x in enumerate(logits)]


def top_p(logits: Sequence[float], p: float) -> list[float]:
    """Keep the largest logits until their probabilities reach ``p``."""
    largest = logits[greedy(logits)]
    weights = [math.exp(x - largest) for x in logits]
    total = sum(weights[i] for i in _ranked(logits))
    kept = set()
    mass = 0.0
    for i in _ranked(logits):
        kept.add(i)
        mass += weights[i]
        if mass >= p * total:
            break
    return [x if i in kept else -math.inf for i, x in enumerate(logits)]


def min_p(logits: Sequence[float], p: float) -> list[float]:
    """Keep logits whose probability is at least ``p`` times the largest one."""
    least = logits[greedy(logits)] + math.log(p)
    return [x if x >= least else -math.inf for x in logits]


def temperature(logits: Sequence[float], t: float) -> list[float]:
    """Divide every logit by ``t``."""
    return [x / t for x in logits]


def penalties(
    logits: Sequence[float],
    counts: Sequence[int],
    repetition: float,
    frequency: float,
    presence: float,
) -> list[float]:
    """Lower the logits of tokens that have occurred."""
    lowered = []
    for x, count in zip(logits, counts, strict=True):
        if count > 0:
            x = x / repetition if x > 0 else x * repetition
            x = x - (count * frequency + presence)
        lowered.append(x)
    return lowered


def _ranked(logits: Sequence[float]) -> list[int]:
    return sorted(range(len(logits)), key=lambda i: -logits[i])
