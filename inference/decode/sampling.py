"""From logits to one token: pure functions of the logits and a seeded generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.errors import EngineError


def greedy(logits: NDArray[np.float32]) -> int:
    """Return the id of the largest logit, the lowest id among equals; logits are [vocab]."""
    return int(np.argmax(logits))


def sample(logits: NDArray[np.float32], temperature: float, rng: np.random.Generator) -> int:
    """Draw an id with probability softmax(logits / temperature); zero temperature is greedy.

    Raises:
        EngineError: a logit is NaN or +inf, so no distribution exists.
    """
    if not np.all(logits < np.inf):  # NaN compares false as well
        raise EngineError("the model produced logits that are not finite; see `apr check MODEL`")
    if temperature == 0:
        return greedy(logits)
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
