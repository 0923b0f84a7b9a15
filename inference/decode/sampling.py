"""From logits to one token: the chain of transforms, then the likeliest token or a seeded draw."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.decode.options import SamplingOptions
from inference.decode.transforms import (
    Logits,
    apply_logit_bias,
    apply_min_p,
    apply_penalties,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    apply_typical,
    log_softmax,
    probability_weights,
)
from inference.errors import EngineError


def greedy(logits: Logits) -> int:
    """Return the id of the largest logit, the lowest id among equals; logits are [vocab]."""
    return int(np.argmax(logits))


def sample(logits: Logits, temperature: float, rng: np.random.Generator) -> int:
    """Draw an id with probability softmax(logits / temperature); zero temperature is greedy.

    Raises:
        EngineError: a logit is NaN or +inf, or all are -inf, so no distribution exists.
    """
    if not np.all(logits < np.inf):  # NaN compares false as well
        raise EngineError("the model produced logits that are not finite; see `apr check MODEL`")
    if not np.any(logits > -np.inf):
        raise EngineError("every token has been excluded; loosen logit_bias")
    if temperature == 0:
        return greedy(logits)
    scaled = apply_temperature(logits.astype(np.float64), temperature)
    ids, weights = probability_weights(scaled)
    cumulative = np.cumsum(weights)
    return int(ids[np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")])


def shape(logits: Logits, options: SamplingOptions, counts: NDArray[np.integer]) -> Logits:
    """Run the chain up to the temperature; ``counts`` [vocab] is how often each token was seen."""
    if options.logit_bias:
        logits = apply_logit_bias(logits, options.logit_bias)
    if options.penalizes:
        logits = apply_penalties(
            logits,
            counts,
            options.repetition_penalty,
            options.frequency_penalty,
            options.presence_penalty,
        )
    if options.top_k > 0:
        logits = apply_top_k(logits, options.top_k)
    if options.typical_p < 1:
        logits = apply_typical(logits, options.typical_p)
    if options.top_p < 1:
        logits = apply_top_p(logits, options.top_p)
    if options.min_p > 0:
        logits = apply_min_p(logits, options.min_p)
    return logits


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Natural logarithms of the model's own probabilities, before any transform.

    ``top`` are the likeliest tokens (id, logprob), best first.
    """

    chosen: float
    top: tuple[tuple[int, float], ...]


def logprobs(logits: Logits, token: int, count: int) -> Logprobs:
    """Return the logprob of ``token`` and the ``count`` likeliest tokens with theirs."""
    values = log_softmax(logits)
    best = np.argsort(-values, kind="stable")[:count] if count else ()
    return Logprobs(float(values[token]), tuple((int(i), float(values[i])) for i in best))


class Sampler:
    """Chooses one token after the other, remembering those that the penalties look at.

    ``banned`` are ids within the vocabulary that the model file itself excludes.
    """

    def __init__(
        self, options: SamplingOptions, prompt: Iterable[int] = (), banned: Iterable[int] = ()
    ) -> None:
        self._options = options
        self._banned = sorted(banned)
        self._rng = np.random.default_rng(options.seed)
        window = options.penalty_last_n
        self._recent: deque[int] = deque(prompt, maxlen=None if window < 0 else window)

    def choose(self, logits: Logits) -> int:
        """Return the next token and remember it.

        Raises:
            EngineError: the logits are not finite, or no token is left.
            InputError: a biased token is not in the vocabulary.
        """
        if self._banned:
            logits = logits.copy()
            logits[self._banned] = -np.inf
        counts = np.zeros(0, np.intp)
        if self._options.penalizes:
            counts = np.bincount(np.fromiter(self._recent, np.intp), minlength=len(logits))
        shaped = logits
        if np.all(logits < np.inf):  # else `sample` says what is wrong
            shaped = shape(logits, self._options, counts)
        token = sample(shaped, self._options.temperature, self._rng)
        self._recent.append(token)
        return token
