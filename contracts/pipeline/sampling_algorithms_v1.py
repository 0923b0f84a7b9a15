"""Procedures of sampling-algorithms-v1: draws, the order of the chain, stop strings, windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inference.decode import reference, sampling, stop, transforms
from inference.decode.options import SamplingOptions
from pytest_contracts.symbolic import Draws


def typical_tokens_are_the_nearest(
    logits: np.ndarray[Any, Any], p: float, compared: Callable[..., None]
) -> None:
    """Kept tokens are no farther from the entropy than dropped ones, and hold the mass ``p``."""
    kept = transforms.apply_typical(logits, p) > -np.inf
    logarithms = transforms.log_softmax(logits)
    probabilities = np.exp(logarithms)
    distance = np.abs(-logarithms - (probabilities * -logarithms).sum())
    compared(len(logits), what="tokens")
    # Forty additions of float64 in another order.
    assert probabilities[kept].sum() >= p - 1e-14
    if not kept.all():
        assert distance[kept].max() <= distance[~kept].min() + 1e-12
    nearest = np.delete(probabilities[kept], np.argmax(distance[kept]))
    assert nearest.sum() <= p + 1e-14


def greedy_needs_no_luck(
    logits: np.ndarray[Any, Any], seed: int, compared: Callable[..., None]
) -> None:
    """Temperature 0 with any seed takes the first of the largest logits."""
    chosen = sampling.Sampler(SamplingOptions(seed=seed)).choose(logits)
    compared(1, what="choices")
    assert chosen == logits.tolist().index(max(logits.tolist()))


def cold_draws_are_greedy(
    logits: np.ndarray[Any, Any], seed: int, compared: Callable[..., None]
) -> None:
    """A lead of 0.1 at temperature 0.001 is a factor of e^100."""
    best = int(np.argmax(logits))
    led = logits.copy()
    led[best] += 0.1
    options = SamplingOptions(temperature=0.001, seed=seed)
    compared(1, what="choices")
    assert sampling.Sampler(options).choose(led) == best


def draws_follow_the_softmax(compared: Callable[..., None]) -> None:
    """Frequencies of a fixed seed beside the probabilities; one token is impossible."""
    logits = np.array([0.0, -np.inf, 1.0, 2.0], np.float32)
    sampler = sampling.Sampler(SamplingOptions(temperature=0.5, seed=1))
    count = 4096
    frequencies = np.bincount([sampler.choose(logits) for _ in range(count)], minlength=4) / count
    weights = np.exp(2.0 * logits.astype(np.float64))
    expected = weights / weights.sum()
    compared(4, what="frequencies")
    assert frequencies[1] == 0
    errors = np.sqrt(expected * (1 - expected) / count)
    assert np.all(np.abs(frequencies - expected) <= 5 * errors)


def the_chain_runs_in_order(compared: Callable[..., None]) -> None:
    """Each pair of transforms gives another result in the other order; llama.cpp's is expected."""
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float64))
    none = np.zeros(4, np.intp)

    def kept(counts: np.ndarray[Any, Any] = none, **options: Any) -> list[int]:
        shaped = sampling.shape(logits, SamplingOptions(**options), counts)
        compared(1, what="chains")
        return np.flatnonzero(shaped > -np.inf).tolist()

    # After top-k the two left have 4/7 and 3/7: the first alone reaches a half.
    assert kept(top_p=0.5) == [0, 1]
    assert kept(top_k=2, top_p=0.5) == [0]
    # The penalty comes before top-k: a banned favourite makes room.
    seen = np.array([1, 0, 0, 0])
    assert kept(seen, top_k=1, presence_penalty=5.0) == [1]
    assert kept(top_k=1, logit_bias={0: -np.inf}) == [1]
    # A bias of the third to the first place is penalized in its turn.
    third = np.array([0, 0, 1, 0])
    assert kept(third, top_k=1, presence_penalty=9.0, logit_bias={2: 5.0}) == [0]
    # Typical comes before top-p: it drops the favourite, which top-p would have kept.
    skewed = np.log(np.array([0.5, 0.2, 0.2, 0.1], np.float64))
    first = np.flatnonzero(transforms.apply_typical(skewed, 0.35) > -np.inf).tolist()
    shaped = sampling.shape(skewed, SamplingOptions(typical_p=0.35, top_p=0.45), none)
    assert 0 not in first
    assert np.flatnonzero(shaped > -np.inf).tolist() == first[:1]
    # Min-p after top-p: among what is left, relative to the same favourite.
    assert kept(top_p=0.85, min_p=0.6) == [0, 1]
    # The temperature comes last: sharpened first, the favourite alone would reach a half.
    cold = SamplingOptions(temperature=0.25, top_p=0.5, seed=3)
    sampler = sampling.Sampler(cold)
    assert {sampler.choose(logits) for _ in range(200)} == {0, 1}
    compared(1, what="chains")


def stop_strings_are_never_shown(
    text: str,
    letters: np.ndarray[Any, Any],
    cuts: np.ndarray[Any, Any],
    compared: Callable[..., None],
) -> None:
    """Search the whole text at once, and feed it in pieces: both show the same."""
    whole = "".join("ab\n"[letter] for letter in letters) + text + "aba"
    for stops in (("ab",), ("aab", "ba\n"), ("aba", "b\nb"), (whole[-3:],), ("never there",)):
        starts = [place for place in (whole.find(stop_text) for stop_text in stops) if place >= 0]
        expected = whole[: min(starts)] if starts else whole
        finder = stop.StopFinder(stops)
        shown, at = "", 0
        for step in np.resize(cuts, len(whole)).tolist():
            shown += finder.push(whole[at : at + step])
            at += step
            assert expected.startswith(shown)
        shown += finder.finish()
        compared(1, what="texts")
        assert shown == expected
        assert (finder.found is not None) == bool(starts)


def the_window_of_the_penalties(window: int, compared: Callable[..., None]) -> None:
    """A favourite that is banned for ``window`` steps returns right after them."""
    options = SamplingOptions(presence_penalty=1e6, penalty_last_n=window)
    logits = np.arange(20, 0, -1, dtype=np.float32)
    sampler = sampling.Sampler(options, prompt=[0])
    chosen = [sampler.choose(logits) for _ in range(window + 1)]
    compared(len(chosen), what="choices")
    # The prompt's token 0 stays out while it is among the last `window`; then it is the best again.
    assert chosen == [*range(1, window + 1), 0]
    everything = SamplingOptions(presence_penalty=1e6, penalty_last_n=-1)
    unbounded = sampling.Sampler(everything, prompt=[0])
    assert [unbounded.choose(logits) for _ in range(window + 1)] == [*range(1, window + 2)]


def verify_greedy_argmax(k: Draws) -> None:
    """Eight symbolic logits."""
    logits = [k.int(f"x{i}", -1000, 1000) for i in range(k.bound)]
    best = reference.greedy(logits)
    for i in range(k.bound):
        assert logits[i] <= logits[best]
        if i < best:
            assert logits[i] < logits[best]
