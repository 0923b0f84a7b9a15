"""The decoder against Transformers and llama.cpp on real models, prompt by prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.backends.weights import Numerics
from inference.evaluate.perplexity import log_sum_exp
from inference.model.stages import Stage
from inference.trace.plan import TracePlan

CANONICAL = "What is 2+2?", [3838, 374, 220, 17, 10, 17, 30]
PROMPTS = (
    "a01_english", "a02_python", "a03_json", "a04_cjk_emoji", "a05_rtl_combining", "a06_tabs",
    "a07_digits", "a08_short", "a09_single", "a10_long300", "a11_long900", "a12_chat",
    "a13_chat_multi", "a14_mixed",
)  # fmt: skip
EVERY_POSITION = ("a01_english", "a11_long900", "a13_chat_multi")
SHORT = tuple(name for name in PROMPTS if "_long" not in name)
STEPS = 32
CHUNK = 256
"""Positions whose logits are held at a time."""

pytestmark = [pytest.mark.model, pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine made of a prompt and the other implementation's continuation of it.

    ``last`` are the logits after the prompt, ``best`` the likeliest token after every token;
    ``recorded`` and ``logsumexp`` belong to the prompt's own tokens where every position is known.
    """

    last: NDArray[np.float32]
    best: NDArray[np.intp]
    recorded: NDArray[np.float32]
    logsumexp: NDArray[np.float64]


class Recorded:
    """A model on one numeric path beside its recorded values."""

    def __init__(self, model: Model, golden: Any) -> None:
        self.model, self.golden = model, golden
        self.f32 = model.numerics == "f32"
        self.peer = "hf" if self.f32 else "llama"
        self.limit: float = 0.01 if self.f32 else golden.margin
        self.prompts: dict[str, dict[str, Any]] = {
            p["name"]: p for p in golden.json("prompts.json")
        }
        self.last = golden.arrays("last.npz")
        self.positions = golden.arrays("positions.npz")
        self._seen: dict[str, Seen] = {}

    def row(self, name: str) -> int:
        return list(self.prompts).index(name)

    def seen(self, name: str) -> Seen:
        """Run a prompt and what follows it, once."""
        if name not in self._seen:
            self._seen[name] = self._run(name)
        return self._seen[name]

    def _run(self, name: str) -> Seen:
        prompt = self.prompts[name]
        count = len(prompt["ids"])
        ids = [*prompt["ids"], *prompt[f"{self.peer}_ids"][:-1]]
        known = self.positions[f"{name}.{self.peer}_top_ids"] if name in EVERY_POSITION else None
        last = np.empty(0, np.float32)
        best, recorded, logsumexp = [], [], []
        session = self.model.session()
        session.cache.reserve(len(ids))
        # Where not every position is recorded, nobody looks at the logits before the last.
        done = 0 if known is not None else count - 1
        for start in range(0, done, CHUNK):
            session.advance(ids[start : min(start + CHUNK, done)])
        for start in range(done, len(ids), CHUNK):
            logits = session.advance(ids[start : start + CHUNK], every_row=True)
            best.append(np.argmax(logits, axis=1))
            if done < count <= done + len(logits):
                last = logits[count - 1 - done].copy()
            if known is not None and done < count:
                mine = logits[: count - done]
                wanted = known[done : done + len(mine)]
                recorded.append(np.take_along_axis(mine, wanted, axis=1))
                logsumexp.append(log_sum_exp(mine))
            done += len(logits)
        return Seen(
            last,
            np.concatenate(best)[-STEPS:],
            np.concatenate(recorded or [np.empty((0, 0), np.float32)]),
            np.concatenate(logsumexp or [np.empty(0)]),
        )

    def kl(self, name: str, reference: str, logits: NDArray[np.float32]) -> float:
        """KL(reference || logits) over the recorded 256 ids and, as one event, all others."""
        row, wide = self.row(name), logits.astype(np.float64)
        ids = self.last[f"{reference}_top_ids"][row]
        recorded = self.last[f"{reference}_top_logits"][row].astype(np.float64)
        p = np.exp(recorded - self.last[f"{reference}_logsumexp"][row])
        q = np.exp(wide[ids] - np.logaddexp.reduce(wide))
        return float(coarse_kl(p, q))

    @cached_property
    def decoded(self) -> dict[str, list[int]]:
        """The greedy tokens after every short prompt, all of them decoded as one batch."""
        prompts = [self.prompts[name]["ids"] for name in SHORT]
        found = self.model.generate_batch(prompts, max_tokens=STEPS, ignore_eos=True)
        return {name: list(text.ids) for name, text in zip(SHORT, found, strict=True)}


def coarse_kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(p || q) of the last axis, which holds some probabilities; the others are one event."""
    rest = [np.maximum(1.0 - side.sum(axis=-1, keepdims=True), 1e-12) for side in (p, q)]
    p, q = np.append(p, rest[0], axis=-1), np.append(q, rest[1], axis=-1)
    total: NDArray[np.float64] = np.sum(p * np.log(p / q), axis=-1)
    return total


@pytest.fixture(scope="module", params=["f32", "fused"])
def real(
    pulled: tuple[Path, Any],
    load_cached: Callable[[Path, Numerics], Model],
    request: pytest.FixtureRequest,
) -> Recorded:
    return Recorded(load_cached(pulled[0], request.param), pulled[1])


def test_every_prompt_is_recorded(real: Recorded) -> None:
    assert tuple(real.prompts) == PROMPTS
    assert len(real.last["hf_top_ids"]) == len(PROMPTS)


def test_canonical_prompt(real: Recorded) -> None:
    if real.golden.folder != "qwen05b":
        pytest.skip("the prompt's ids are Qwen's")
    text, ids = CANONICAL
    assert real.model.tokenizer.encode(text) == ids
    assert "4" in real.model.generate(ids, max_tokens=8).text


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_become_the_recorded_ids(real: Recorded, name: str) -> None:
    prompt = real.prompts[name]
    assert real.model.tokenizer.encode(prompt["text"]) == prompt["ids"]


@pytest.mark.parametrize("name", PROMPTS)
def test_last_logits(real: Recorded, name: str) -> None:
    logits, row, last = real.seen(name).last, real.row(name), real.last
    if real.f32:
        ids, probe = last["hf_top_ids"][row], last["probe_ids"]
        np.testing.assert_allclose(logits[ids], last["hf_top_logits"][row], rtol=0, atol=5e-3)
        np.testing.assert_allclose(logits[probe], last["hf_probe"][row], rtol=0, atol=5e-3)
        assert real.kl(name, "hf", logits) <= 1e-6
    else:
        assert real.kl(name, "llama", logits) <= real.golden.kl
        assert real.kl(name, "hf", logits) <= real.golden.kl
    best, second = last["hf_top_logits"][row][:2]
    if best - second > real.limit:
        assert int(np.argmax(logits)) == last["hf_top_ids"][row][0]


def test_kl_sees_another_distribution(real: Recorded) -> None:
    assert real.kl("a01_english", "hf", real.seen("a01_english").last[::-1]) > 1.0


@pytest.mark.parametrize("name", EVERY_POSITION)
def test_every_position(real: Recorded, name: str) -> None:
    seen, peer = real.seen(name), real.peer
    recorded = real.positions[f"{name}.{peer}_top_logits"]
    logsumexp = real.positions[f"{name}.{peer}_logsumexp"]
    assert seen.recorded.shape == recorded.shape == (len(real.prompts[name]["ids"]), 4)
    if real.f32:
        np.testing.assert_allclose(seen.recorded, recorded, rtol=0, atol=5e-3)
        np.testing.assert_allclose(seen.logsumexp, logsumexp, rtol=0, atol=5e-3)
        return
    p = np.exp(recorded.astype(np.float64) - logsumexp[:, np.newaxis])
    q = np.exp(seen.recorded - seen.logsumexp[:, np.newaxis])
    known = real.golden.json("agreement.json")[name]
    assert coarse_kl(p, q).mean() <= 2 * known["llama_hf_mean_kl"]
    assert coarse_kl(p, q[::-1]).mean() > 0.1  # another order of positions would be seen


@pytest.mark.parametrize("name", ["a01_english", "a02_python"])
def test_layer_vectors(real: Recorded, name: str) -> None:
    if not real.f32:
        pytest.skip("rounding activations to int8 moves the vectors by a few per cent")
    plan = TracePlan((Stage.EMBEDDING, Stage.POST_FFN_RESIDUAL, Stage.FINAL_NORM))
    trace = real.model.trace(real.prompts[name]["ids"], plan)
    values = [value[-1] for value in trace.values.values()]
    expected = real.golden.arrays("hidden.npz")[f"{name}.hf_vectors"]
    assert len(values) == len(expected) == real.model.config.layers + 2
    for value, reference in zip(values, expected, strict=True):
        assert np.linalg.norm(value - reference) <= 1e-4 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", PROMPTS)
def test_the_best_token_of_every_clear_step(real: Recorded, name: str) -> None:
    """Given the other implementation's text so far, the next token is its next token."""
    prompt = real.prompts[name]
    clear = np.asarray(prompt[f"{real.peer}_margin"]) > real.limit
    assert clear.any()
    best, expected = real.seen(name).best, np.asarray(prompt[f"{real.peer}_ids"])
    assert best.shape == expected.shape == (STEPS,)
    np.testing.assert_array_equal(best[clear], expected[clear])


@pytest.mark.parametrize("name", SHORT)
def test_greedy_tokens_decoded_as_a_batch(real: Recorded, name: str) -> None:
    if real.f32:
        pytest.skip("expanded weights are read once per text and step, which takes minutes")
    count = clear_steps(real, name)
    assert real.decoded[name][:count] == real.prompts[name][f"{real.peer}_ids"][:count]


def test_greedy_tokens_decoded_one_by_one(real: Recorded) -> None:
    prompt = real.prompts["a08_short"]
    count = min(clear_steps(real, "a08_short"), 12)
    found = real.model.generate(prompt["ids"], max_tokens=12, ignore_eos=True)
    assert found.ids[:count] == tuple(prompt[f"{real.peer}_ids"][:count])


def clear_steps(real: Recorded, name: str) -> int:
    """How many steps from the first on have a margin above the noise."""
    unclear = np.asarray(real.prompts[name][f"{real.peer}_margin"]) <= real.limit
    return int(np.argmax(unclear)) if unclear.any() else STEPS
