"""Perplexity of two texts on real models, against Transformers and llama.cpp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.backends.weights import Numerics
from inference.evaluate.perplexity import TokenLosses, log_sum_exp, position_logits, token_losses

TEXTS = ("english", "code")
ROWS = 128

pytestmark = [pytest.mark.model, pytest.mark.slow]


class Both:
    """The two numeric paths of a model, run over the same texts."""

    def __init__(self, f32: Model, fused: Model, golden: Any) -> None:
        self.f32, self.fused, self.golden = f32, fused, golden
        self.texts = golden.json("perplexity.json")
        self.values = golden.arrays("perplexity.npz")
        self._scores: dict[str, tuple[TokenLosses, TokenLosses, float]] = {}

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.values[f"{text}.ids"].tolist()
        return ids

    def scores(self, text: str) -> tuple[TokenLosses, TokenLosses, float]:
        """The losses of both paths, and the mean of KL(fused || f32) over every fourth position."""
        if text not in self._scores:
            ids = self.ids(text)
            targets = np.asarray([*ids[1:], 0])
            runs = [position_logits(model, ids, rows=ROWS) for model in (self.f32, self.fused)]
            nll, best, kl = [], [], []
            done = 0
            for pair in zip(*runs, strict=True):
                at = np.arange(len(pair[0])), targets[done : done + len(pair[0])]
                sums = [log_sum_exp(logits) for logits in pair]
                nll.append([total - logits[at] for total, logits in zip(sums, pair, strict=True)])
                best.append([np.argmax(logits, axis=1) for logits in pair])
                kl.append(sampled_kl(pair, sums))
                done += len(pair[0])
            losses = np.concatenate(nll, axis=1)[:, :-1], np.concatenate(best, axis=1)[:, :-1]
            exact, rounded = (TokenLosses(*side) for side in zip(*losses, strict=True))
            self._scores[text] = exact, rounded, float(np.concatenate(kl).mean())
        return self._scores[text]


def sampled_kl(
    pair: Sequence[NDArray[np.float32]], sums: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """KL(second || first) over the whole vocabulary, of every fourth row."""
    p, q = (
        logits[::4].astype(np.float64) - total[::4, np.newaxis]
        for logits, total in zip(pair, sums, strict=True)
    )
    divergence: NDArray[np.float64] = np.sum(np.exp(q) * (q - p), axis=1)
    return divergence


@pytest.fixture(scope="module")
def both(pulled: tuple[Path, Any], load_cached: Callable[[Path, Numerics], Model]) -> Both:
    f32, fused = (load_cached(pulled[0], numerics) for numerics in ("f32", "fused"))
    return Both(f32, fused, pulled[1])


@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_become_the_recorded_ids(both: Both, text: str) -> None:
    source = both.texts[text]["text"]
    assert both.f32.tokenizer.encode(source, parse_special=False) == both.ids(text)


@pytest.mark.parametrize("text", TEXTS)
def test_f32_is_that_of_transformers(both: Both, text: str) -> None:
    exact, _, _ = both.scores(text)
    assert exact.perplexity == pytest.approx(both.texts[text]["hf_ppl"], rel=1e-4)
    np.testing.assert_allclose(exact.nll, both.values[f"{text}.hf_nll"], rtol=0, atol=1e-2)
    assert np.mean(exact.best == both.values[f"{text}.hf_top1"]) >= 0.998


@pytest.mark.parametrize("text", TEXTS)
def test_fused_is_that_of_llama_cpp(both: Both, text: str) -> None:
    known = both.texts[text]
    _, rounded, kl = both.scores(text)
    assert rounded.perplexity == pytest.approx(known["llama_ppl"], rel=0.01)
    assert kl <= 2 * known["llama_hf_mean_kl"]
    agreement = np.mean(rounded.best == both.values[f"{text}.llama_top1"])
    assert agreement >= known["llama_hf_top1_agreement"] - 0.02


def test_the_library_function_gives_the_same(both: Both) -> None:
    found = token_losses(both.fused, both.ids("english"))
    _, rounded, _ = both.scores("english")
    assert found.perplexity == pytest.approx(rounded.perplexity, rel=1e-3)
    assert not np.allclose(found.nll[::-1], rounded.nll, atol=1.0)
