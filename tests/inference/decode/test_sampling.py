from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.decode.options import SamplingOptions
from inference.decode.sampling import Sampler, greedy, sample
from inference.errors import EngineError


def test_greedy_takes_the_lowest_of_equals() -> None:
    assert greedy(np.array([1, 3, 3, -np.inf], np.float32)) == 1


def test_frequencies_follow_the_softmax() -> None:
    logits = np.array([0.0, 1.0, 2.0, -np.inf], np.float32)
    rng = np.random.default_rng(1)
    drawn = [sample(logits, 0.5, rng) for _ in range(20_000)]
    expected = np.exp(2 * logits.astype(np.float64))
    expected /= expected.sum()
    # Standard error of a frequency is at most 0.0036.
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, expected, atol=0.015)


@given(st.integers(0, 2**32), st.floats(0.01, 100))
def test_same_seed_same_token(seed: int, temperature: float) -> None:
    logits = np.linspace(-3, 3, 50, dtype=np.float32)
    draws = {sample(logits, temperature, np.random.default_rng(seed)) for _ in range(3)}
    assert len(draws) == 1
    assert 0 <= draws.pop() < 50


def test_tiny_temperatures_are_greedy() -> None:
    logits = np.array([1.0, 1.5, -2.0], np.float32)
    assert sample(logits, 1e-4, np.random.default_rng(0)) == 1
    assert sample(logits, 0.0, np.random.default_rng(0)) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_token_without_a_distribution(bad: float) -> None:
    for temperature in (0.0, 1.0):
        with pytest.raises(EngineError, match="apr check"):
            sample(np.array([0.0, bad], np.float32), temperature, np.random.default_rng(0))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_tokens_that_a_file_excludes_are_never_chosen(temperature: float) -> None:
    logits = np.array([1.0, 9.0, 2.0, 8.0], np.float32)
    before = logits.copy()
    sampler = Sampler(SamplingOptions(temperature=temperature, seed=0), banned=[1, 3])
    assert {sampler.choose(logits) for _ in range(50)} <= {0, 2}
    np.testing.assert_array_equal(logits, before)
