"""The decoder against Transformers and llama.cpp on the real 0.5B model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model
from inference.model.weights import Numerics
from inference.trace.plan import TracePlan
from inference.trace.stages import Stage

GOLDEN = Path(__file__).parents[2] / "golden" / "qwen05b"
PROMPTS = json.loads((GOLDEN / "prompts.json").read_text(encoding="utf-8"))
LAST = np.load(GOLDEN / "last.npz")
CANONICAL = "What is 2+2?", [3838, 374, 220, 17, 10, 17, 30]

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module", params=["f32", "fused"])
def real(real_path: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    numerics: Numerics = request.param
    with inference.load(real_path, numerics=numerics) as model:
        yield model


def last_logits(model: Model, row: int) -> NDArray[np.float32]:
    return model.session().advance(PROMPTS[row]["ids"])[-1]


def kl(row: int, reference: str, logits: NDArray[np.float32]) -> float:
    """KL(reference || logits) over the recorded 256 ids and, as one event, all others."""
    wide = logits.astype(np.float64)
    logsumexp = np.logaddexp.reduce(wide)
    ids = LAST[f"{reference}_top_ids"][row]
    p = np.exp(LAST[f"{reference}_top_logits"][row].astype(np.float64)
               - LAST[f"{reference}_logsumexp"][row])  # fmt: skip
    q = np.exp(wide[ids] - logsumexp)
    rest = [max(1.0 - side.sum(), 1e-12) for side in (p, q)]
    p, q = np.append(p, rest[0]), np.append(q, rest[1])
    return float(np.sum(p * np.log(p / q)))


def test_canonical_prompt(real: Model) -> None:
    text, ids = CANONICAL
    assert real.tokenizer.encode(text) == ids
    assert "4" in real.generate(ids, max_tokens=8).text


@pytest.mark.parametrize("row", [0, 3, 7, 9])
def test_last_logits(real: Model, row: int) -> None:
    logits = last_logits(real, row)
    if real.numerics == "f32":
        ids, probe = LAST["hf_top_ids"][row], LAST["probe_ids"]
        np.testing.assert_allclose(logits[ids], LAST["hf_top_logits"][row], rtol=0, atol=5e-3)
        np.testing.assert_allclose(logits[probe], LAST["hf_probe"][row], rtol=0, atol=5e-3)
        assert kl(row, "hf", logits) <= 1e-6
    else:
        assert kl(row, "llama", logits) <= 0.02
        assert kl(row, "hf", logits) <= 0.02
    assert int(np.argmax(logits)) == LAST["hf_top_ids"][row][0]


def test_kl_sees_another_distribution(real: Model) -> None:
    assert kl(0, "hf", last_logits(real, 0)[::-1]) > 1.0


def test_layer_vectors(real: Model) -> None:
    if real.numerics != "f32":
        pytest.skip("rounding activations to int8 moves the vectors by about 2 %")
    plan = TracePlan((Stage.EMBEDDING, Stage.POST_FFN_RESIDUAL, Stage.FINAL_NORM))
    values = [value[-1] for value in real.trace(PROMPTS[0]["ids"], plan).values.values()]
    expected = np.load(GOLDEN / "hidden.npz")["a01_english.hf_vectors"]
    assert len(values) == len(expected) == 26
    for value, reference in zip(values, expected, strict=True):
        assert np.linalg.norm(value - reference) <= 1e-4 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", ["a02_python", "a08_short"])
def test_greedy_tokens(real: Model, name: str) -> None:
    prompt: dict[str, Any] = next(p for p in PROMPTS if p["name"] == name)
    limit = 0.01 if real.numerics == "f32" else 0.3
    margins = np.asarray(prompt["hf_margin"])
    clear = int(np.argmax(margins < limit)) if np.any(margins < limit) else len(margins)
    clear = min(clear, 12)
    found = real.generate(prompt["ids"], max_tokens=max(clear, 1), ignore_eos=True)
    assert list(found.ids[:clear]) == prompt["hf_ids"][:clear]
