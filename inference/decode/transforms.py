"""From logits to logits: each function returns a new array [vocab], -inf where it removes a token.

Ties in rank go to the lower id, so that a result never depends on a sort's whims. At least one
token always stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import InputError

Logits = NDArray[np.floating[Any]]


def apply_logit_bias(logits: Logits, bias: Mapping[int, float]) -> Logits:
    """Add a number to some tokens' logits; ``InputError`` for an id outside the vocabulary."""
    biased = logits.copy()
    for token, addend in bias.items():
        if not 0 <= token < len(logits):
            raise InputError(f"logit_bias: token {token} is outside 0..{len(logits) - 1}")
        biased[token] += addend
    return biased


def apply_penalties(
    logits: Logits,
    counts: NDArray[np.integer[Any]],
    repetition: float,
    frequency: float,
    presence: float,
) -> Logits:
    """Make tokens that occurred ``counts`` [vocab] times less likely, as llama.cpp does.

    A seen token's logit is divided by ``repetition`` where positive and multiplied where not
    (Keskar et al. 2019, CTRL), then lowered by ``frequency`` per occurrence and by ``presence``.
    """
    penalized = logits.copy()
    seen = np.flatnonzero(counts)
    x = penalized[seen]
    x = np.where(x > 0, x / repetition, x * repetition)
    penalized[seen] = x - (counts[seen] * frequency + presence)
    return penalized


def apply_top_k(logits: Logits, k: int) -> Logits:
    """Keep the ``k`` likeliest tokens (Fan et al. 2018); 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits.copy()
    least = np.partition(logits, -k)[-k]
    above = logits > least
    kept = above.copy()
    kept[np.flatnonzero(logits == least)[: k - int(above.sum())]] = True
    return np.where(kept, logits, -np.inf).astype(logits.dtype)


def apply_typical(logits: Logits, p: float) -> Logits:
    """Keep the tokens whose surprise is nearest to the expected one, up to mass ``p``.

    Locally typical sampling (Meister et al. 2023); the token that passes ``p`` stays.
    """
    if p >= 1.0:
        return logits.copy()
    ids, weights = probability_weights(logits)
    probabilities = weights / weights.sum()
    surprise = -np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    entropy = float((probabilities * surprise).sum())
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    mass = np.cumsum(probabilities[order])
    count = int(np.searchsorted(mass, p, side="right")) + 1
    return _keep(logits, ids[order[:count]])


def apply_top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest likeliest tokens whose probabilities reach ``p`` (Holtzman et al. 2020)."""
    if p >= 1.0:
        return logits.copy()
    ids, weights = probability_weights(logits)
    order = np.argsort(-logits[ids], kind="stable")  # logits tell apart what rounds to one weight
    mass = np.cumsum(weights[order])
    count = int(np.searchsorted(mass, p * mass[-1], side="left")) + 1
    return _keep(logits, ids[order[:count]])


def apply_min_p(logits: Logits, p: float) -> Logits:
    """Keep tokens at least ``p`` times as likely as the likeliest (Nguyen et al. 2024)."""
    if p <= 0.0:
        return logits.copy()
    return _keep(logits, np.flatnonzero(logits >= logits.max() + math.log(p)))


def apply_temperature(logits: Logits, temperature: float) -> Logits:
    """Divide by a temperature above 0: below 1 sharpens, above 1 flattens."""
    divided: Logits = logits / temperature
    return divided


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """Return the natural logarithms of the probabilities, float64 [vocab]."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - math.log(float(np.exp(shifted).sum()))


def probability_weights(logits: Logits) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the ids that are still in, and their probabilities up to a factor."""
    ids = np.flatnonzero(logits > -np.inf)
    kept = logits[ids].astype(np.float64)
    return ids, np.exp(kept - kept.max())


def _keep(logits: Logits, ids: NDArray[np.intp]) -> Logits:
    kept = np.full_like(logits, -np.inf)
    kept[ids] = logits[ids]
    return kept
