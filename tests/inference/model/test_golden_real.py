"""The decoder against Transformers and llama.cpp on real models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model
from inference.hub import cached
from inference.model.weights import Numerics
from inference.trace.plan import TracePlan
from inference.trace.stages import Stage

FOLDER = Path(__file__).parents[2] / "golden"
CANONICAL = "What is 2+2?", [3838, 374, 220, 17, 10, 17, 30]

pytestmark = [pytest.mark.model, pytest.mark.slow]


class Golden(NamedTuple):
    """What was recorded of a model, and how far int8 activations may carry it from there.

    ``margin`` is the lead below which another first token is no error on the fused path.
    """

    model: str
    folder: str
    kl: float
    margin: float


GOLDENS = (
    Golden("qwen2.5-coder-0.5b-instruct", "qwen05b", 0.02, 0.3),
    Golden("smollm2-135m-instruct", "smol135m", 0.06, 0.7),
    Golden("gemma-3-270m", "gemma270m", 0.08, 0.7),
)
SHORT, LONG = ("a01_english", "a04_cjk_emoji", "a08_short", "a12_chat"), "a11_long900"


class Recorded:
    """A model on one numeric path beside its recorded values."""

    def __init__(self, model: Model, golden: Golden) -> None:
        self.model, self.golden = model, golden
        folder = FOLDER / golden.folder
        self.prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        self.last = np.load(folder / "last.npz")
        self.hidden = np.load(folder / "hidden.npz")

    @cached_property
    def f32(self) -> bool:
        return self.model.numerics == "f32"

    def row(self, name: str) -> int:
        names = [prompt["name"] for prompt in self.prompts]
        if name not in names:
            pytest.skip(f"{name} is not recorded for {self.golden.model}")
        return names.index(name)

    def prompt(self, name: str) -> dict[str, Any]:
        prompt: dict[str, Any] = self.prompts[self.row(name)]
        return prompt

    def logits(self, name: str) -> NDArray[np.float32]:
        return self.model.session().advance(self.prompt(name)["ids"])[-1]

    def lead(self, name: str) -> float:
        best = self.last["hf_top_logits"][self.row(name)]
        return float(best[0] - best[1])

    def kl(self, name: str, reference: str, logits: NDArray[np.float32]) -> float:
        """KL(reference || logits) over the recorded 256 ids and, as one event, all others."""
        row, wide = self.row(name), logits.astype(np.float64)
        ids = self.last[f"{reference}_top_ids"][row]
        recorded = self.last[f"{reference}_top_logits"][row].astype(np.float64)
        p = np.exp(recorded - self.last[f"{reference}_logsumexp"][row])
        q = np.exp(wide[ids] - np.logaddexp.reduce(wide))
        rest = [max(1.0 - side.sum(), 1e-12) for side in (p, q)]
        p, q = np.append(p, rest[0]), np.append(q, rest[1])
        return float(np.sum(p * np.log(p / q)))


@pytest.fixture(scope="module", params=GOLDENS, ids=lambda golden: golden.folder)
def pulled(request: pytest.FixtureRequest) -> tuple[Path, Golden]:
    golden: Golden = request.param
    path = cached(golden.model)
    if path is None:
        pytest.skip(f"needs the real model; run: apr pull {golden.model}")
    return path, golden


@pytest.fixture(scope="module", params=["f32", "fused"])
def real(pulled: tuple[Path, Golden], request: pytest.FixtureRequest) -> Iterator[Recorded]:
    numerics: Numerics = request.param
    with inference.load(pulled[0], numerics=numerics) as model:
        yield Recorded(model, pulled[1])


def test_canonical_prompt(real: Recorded) -> None:
    if real.golden.folder != "qwen05b":
        pytest.skip("the prompt's ids are Qwen's")
    text, ids = CANONICAL
    assert real.model.tokenizer.encode(text) == ids
    assert "4" in real.model.generate(ids, max_tokens=8).text


@pytest.mark.parametrize("name", [*SHORT, LONG])
def test_last_logits(real: Recorded, name: str) -> None:
    logits, row = real.logits(name), real.row(name)
    if real.f32:
        last = real.last
        ids, probe = last["hf_top_ids"][row], last["probe_ids"]
        np.testing.assert_allclose(logits[ids], last["hf_top_logits"][row], rtol=0, atol=5e-3)
        np.testing.assert_allclose(logits[probe], last["hf_probe"][row], rtol=0, atol=5e-3)
        assert real.kl(name, "hf", logits) <= 1e-6
    else:
        assert real.kl(name, "llama", logits) <= real.golden.kl
        assert real.kl(name, "hf", logits) <= real.golden.kl
    if real.lead(name) > (0.01 if real.f32 else real.golden.margin):
        assert int(np.argmax(logits)) == real.last["hf_top_ids"][row][0]


def test_kl_sees_another_distribution(real: Recorded) -> None:
    assert real.kl("a01_english", "hf", real.logits("a01_english")[::-1]) > 1.0


def test_layer_vectors(real: Recorded) -> None:
    if not real.f32:
        pytest.skip("rounding activations to int8 moves the vectors by a few per cent")
    plan = TracePlan((Stage.EMBEDDING, Stage.POST_FFN_RESIDUAL, Stage.FINAL_NORM))
    ids = real.prompt("a01_english")["ids"]
    values = [value[-1] for value in real.model.trace(ids, plan).values.values()]
    expected = real.hidden["a01_english.hf_vectors"]
    assert len(values) == len(expected) == real.model.config.layers + 2
    for value, reference in zip(values, expected, strict=True):
        assert np.linalg.norm(value - reference) <= 1e-4 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", ["a02_python", "a08_short"])
def test_greedy_tokens(real: Recorded, name: str) -> None:
    prompt = real.prompt(name)
    limit = 0.01 if real.f32 else real.golden.margin
    margins = np.asarray(prompt["hf_margin"])
    clear = int(np.argmax(margins < limit)) if np.any(margins < limit) else len(margins)
    session = real.model.session()
    last = session.advance(prompt["ids"])
    found: list[int] = []
    for _ in range(min(clear, 12)):
        found.append(int(np.argmax(last[-1])))
        last = session.advance(found[-1:])
    assert found == prompt["hf_ids"][: len(found)]
