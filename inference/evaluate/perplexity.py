"""Perplexity: how surprised a model is by a text, exp(mean over i of −log p(token i | tokens < i)).

The whole text is one context, and every token after the first is scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.errors import InputError

if TYPE_CHECKING:
    from inference.engine.model import Model

ROWS = 128
"""Positions whose logits exist at a time; with a vocabulary of 262,144 they take 128 MiB."""


@dataclass(frozen=True, slots=True)
class TokenLosses:
    """What a model thought of each token of a text but the first.

    ``nll`` [n − 1] are −log p(token i + 1 | tokens 0..i) in nats, ``best`` [n − 1] the ids that the
    model thought likeliest in their place.
    """

    nll: NDArray[np.float64]
    best: NDArray[np.intp]

    @property
    def perplexity(self) -> float:
        """exp of the mean loss."""
        return math.exp(float(self.nll.mean()))


def position_logits(
    model: Model, ids: Sequence[int], *, rows: int = ROWS
) -> Iterator[NDArray[np.float32]]:
    """Yield the logits of every position in turn, float32 [up to ``rows``, vocab] at a time.

    Raises:
        InputError: an id is not in the vocabulary, or there is none.
        ContextOverflowError: more tokens than the context holds; nothing has been computed.
    """
    session = model.session()
    session.cache.reserve(len(ids))
    for start in range(0, max(1, len(ids)), rows):
        yield session.advance(ids[start : start + rows], every_row=True)


def token_losses(model: Model, ids: Sequence[int]) -> TokenLosses:
    """Score a text.

    Raises:
        InputError: fewer than two tokens, or an id that is not in the vocabulary.
        ContextOverflowError: more tokens than the context holds.
    """
    if len(ids) < 2:
        raise InputError(f"a text of {len(ids)} tokens has nothing to predict; give at least 2")
    losses, best = [], []
    following = np.asarray(ids[1:])
    done = 0
    for logits in position_logits(model, ids):
        targets = following[done : done + len(logits)]
        done += len(logits)
        scored = logits[: len(targets)]
        best.append(np.argmax(scored, axis=1))
        losses.append(log_sum_exp(scored) - scored[np.arange(len(targets)), targets])
    return TokenLosses(np.concatenate(losses), np.concatenate(best))


def log_sum_exp(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log Σ exp over the last axis: what turns a logit into a log probability.

    The exponentials are float32, their sum float64: an error of about 1e-7. Row by row, since those
    of one row stay in the processor's cache.
    """
    result = np.empty(logits.shape[:-1], np.float64)
    for place in np.ndindex(result.shape):
        row = logits[place]
        largest = row.max()
        scaled = row - largest
        result[place] = np.log(np.exp(scaled, out=scaled).sum(dtype=np.float64)) + largest
    return result
