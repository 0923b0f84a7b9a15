"""Perplexity of two texts on real models, against Transformers and llama.cpp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.backends.weights import Numerics
from inference.evaluate.perplexity import TokenLosses, log_sum_exp, position_logits, token_losses

TEXTS = ("english", "code")
ROWS = 256
"""Positions whose exact logits are held at a time."""

pytestmark = [pytest.mark.model, pytest.mark.slow]


class Scored:
    """What a model made of a text, chunk by chunk of its positions."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._targets = [*ids[1:], 0]
        self._done = 0
        self._losses: list[NDArray[np.float64]] = []
        self._best: list[NDArray[np.intp]] = []
        self.sample: list[tuple[NDArray[np.float32], np.float64]] = []
        """The logits of every fourth position, and their log Σ exp."""

    def see(self, logits: NDArray[np.float32]) -> None:
        """Note what is asked about the next positions."""
        rows = np.arange(len(logits))
        targets = self._targets[self._done : self._done + len(logits)]
        total = log_sum_exp(logits)
        self._losses.append(total - logits[rows, targets])
        self._best.append(np.argmax(logits, axis=1))
        for row in range(-self._done % 4, len(logits), 4):
            self.sample.append((logits[row].copy(), total[row]))
        self._done += len(logits)

    @property
    def losses(self) -> TokenLosses:
        """The losses of all tokens but the first."""
        return TokenLosses(np.concatenate(self._losses)[:-1], np.concatenate(self._best)[:-1])

    def kl_from(self, exact: Scored) -> float:
        """The mean of KL(this || exact) over the sampled positions and the whole vocabulary."""
        pairs = zip(self.sample, exact.sample, strict=True)
        return float(np.mean([kl(*own, *other) for own, other in pairs]))


def kl(
    own: NDArray[np.float32], own_total: np.float64, other: NDArray[np.float32], total: np.float64
) -> float:
    """KL(own || other) of the logits of one position and their log Σ exp."""
    q, p = own.astype(np.float64) - own_total, other.astype(np.float64) - total
    np.subtract(q, p, out=p)
    return float(np.dot(np.exp(q, out=q), p))


@dataclass
class Overheard:
    """A model whose logits somebody else hears too, for a function that opens one session."""

    model: Model
    see: Callable[[NDArray[np.float32]], None]

    def session(self) -> Any:
        session = self.model.session()

        def advance(ids: Sequence[int], *, every_row: bool) -> NDArray[np.float32]:
            logits = session.advance(ids, every_row=every_row)
            self.see(logits)
            return logits

        return SimpleNamespace(cache=session.cache, advance=advance)


class Both:
    """The two numeric paths of a model, run over the same texts."""

    def __init__(self, f32: Model, fused: Model, golden: Any) -> None:
        self.f32, self.fused, self.golden = f32, fused, golden
        self.texts = golden.json("perplexity.json")
        self.values = golden.arrays("perplexity.npz")
        self._exact: dict[str, Scored] = {}
        self._rounded: dict[str, tuple[Scored, TokenLosses]] = {}

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.values[f"{text}.ids"].tolist()
        return ids

    def exact(self, text: str) -> Scored:
        """What is asked about the float32 path."""
        if text not in self._exact:
            scored = Scored(self.ids(text))
            for logits in position_logits(self.f32, self.ids(text), rows=ROWS):
                scored.see(logits)
            self._exact[text] = scored
        return self._exact[text]

    def rounded(self, text: str) -> tuple[Scored, TokenLosses]:
        """What is asked about the fused path, and what the library's function says of that run."""
        if text not in self._rounded:
            scored = Scored(self.ids(text))
            overheard: Any = Overheard(self.fused, scored.see)
            self._rounded[text] = scored, token_losses(overheard, self.ids(text))
        return self._rounded[text]


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
    exact = both.exact(text).losses
    assert exact.perplexity == pytest.approx(both.texts[text]["hf_ppl"], rel=1e-4)
    np.testing.assert_allclose(exact.nll, both.values[f"{text}.hf_nll"], rtol=0, atol=1e-2)
    assert np.mean(exact.best == both.values[f"{text}.hf_top1"]) >= 0.998


@pytest.mark.parametrize("text", TEXTS)
def test_fused_is_that_of_llama_cpp(both: Both, text: str) -> None:
    known = both.texts[text]
    scored, _ = both.rounded(text)
    rounded = scored.losses
    assert rounded.perplexity == pytest.approx(known["llama_ppl"], rel=0.01)
    assert scored.kl_from(both.exact(text)) <= 2 * known["llama_hf_mean_kl"]
    agreement = np.mean(rounded.best == both.values[f"{text}.llama_top1"])
    assert agreement >= known["llama_hf_top1_agreement"] - 0.02


@pytest.mark.parametrize("text", TEXTS)
def test_the_library_function_gives_the_same(both: Both, text: str) -> None:
    scored, found = both.rounded(text)
    rounded = scored.losses
    np.testing.assert_allclose(found.nll, rounded.nll, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.best, rounded.best)
    assert not np.allclose(found.nll[::-1], rounded.nll, atol=1.0)
