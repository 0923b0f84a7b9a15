"""`check_model`: ten stages, each of which sees the defect that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.backends.cpu import operations
from inference.backends.cpu.backend import CpuBackend
from inference.backends.cpu.cache import KVCache
from inference.backends.cpu.lowered import compiled
from inference.backends.cpu.operations import Operations
from inference.data import TINY_MODEL
from inference.engine.check import CheckResult, check_model
from inference.engine.model import Model
from inference.formats import open_model
from inference.model.architectures import ARCHITECTURES
from inference.model.ops import Embed
from inference.text.tokenizer import Tokenizer

STAGES = [
    "file", "tensors", "tokenizer", "embedding", "rope", "attention", "layers", "logits",
    "numerics", "decoding",
]  # fmt: skip


def check(path: Path = TINY_MODEL) -> dict[str, CheckResult]:
    return {result.stage: result for result in check_model(path)}


def first_failure(path: Path = TINY_MODEL) -> tuple[str, str]:
    """The stage that fails and its detail; those before are OK, those after are skipped."""
    results = check(path)
    assert list(results) == STAGES
    verdicts = [result.verdict for result in results.values()]
    assert verdicts.count("FAILED") == 1, results
    place = verdicts.index("FAILED")
    assert set(verdicts[:place]) <= {"OK"}
    assert set(verdicts[place + 1 :]) <= {"SKIPPED"}
    return STAGES[place], results[STAGES[place]].detail


def test_the_shipped_model_passes() -> None:
    results = check()
    assert [(name, result.verdict) for name, result in results.items()] == [
        (stage, "OK") for stage in STAGES
    ]
    assert "qwen2, 4 layers" in results["file"].detail
    assert "cosine" in results["decoding"].detail


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_models_of_every_architecture_pass(architecture: str) -> None:
    folder = Path(__file__).parents[2] / "golden" / "tiny" / architecture
    verdicts = {name: result.verdict for name, result in check(folder).items()}
    assert verdicts == dict.fromkeys(STAGES, "OK")


def test_a_cut_file(tmp_path: Path) -> None:
    broken = tmp_path / "model.gguf"
    broken.write_bytes(TINY_MODEL.read_bytes()[:-1000])
    assert first_failure(broken)[0] == "file"


def test_nan_in_a_tensor(tmp_path: Path) -> None:
    file = open_model(TINY_MODEL)
    place = file.tensors["blk.2.attn_norm.weight"].offset
    data = bytearray(TINY_MODEL.read_bytes())
    data[place + 40 : place + 44] = b"\x00\x00\xc0\x7f"
    broken = tmp_path / "model.gguf"
    broken.write_bytes(data)
    stage, detail = first_failure(broken)
    assert stage == "tensors"
    assert "NON-FINITE" in detail


def test_a_tokenizer_that_loses_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tokenizer, "decode", lambda *_, **__: "What is 22?")
    stage, detail = first_failure()
    assert stage == "tokenizer"
    assert "What is 22?" in detail


def planted(
    monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Change what a kernel of the operation program returns."""
    original = getattr(operations, name)
    monkeypatch.setattr(operations, name, lambda *args: change(original(*args)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: np.full_like(x, np.nan), "not finite"),
        (lambda x: np.broadcast_to(x[:1], x.shape), "the same embedding"),
    ],
)
def test_embeddings(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    def embed(self: Operations, op: Embed, run: Any) -> None:
        self.embed(op, run)
        run.buffers[op.out] = np.ascontiguousarray(change(run.buffers[op.out]))

    monkeypatch.setattr(Operations, "handlers", {**Operations.handlers, Embed: embed})
    stage, detail = first_failure()
    assert stage == "embedding"
    assert message in detail


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (lambda cos, sin: (np.ones_like(cos), np.zeros_like(sin)), "the same at positions"),
        (lambda cos, sin: (cos * positions(cos), sin * positions(sin)), "changes the length"),
    ],
)
def test_a_rotation_that_does_not_turn(
    monkeypatch: pytest.MonkeyPatch, scale: Any, message: str
) -> None:
    for room in (operations, compiled):
        original = room.rope_table
        monkeypatch.setattr(room, "rope_table", lambda *args, table=original: scale(*table(*args)))
    stage, detail = first_failure()
    assert stage == "rope"
    assert message in detail


def positions(table: np.ndarray) -> np.ndarray:
    return np.arange(1, 1 + len(table), dtype=np.float32)[:, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights * np.float32(1.01), "miss a sum of 1"),
        (lambda weights: weights[..., ::-1], "comes later"),
        (lambda weights: weights * np.float32(np.nan), "not finite"),
    ],
)
def test_attention_weights(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    planted(monkeypatch, "gqa_softmax", lambda w: np.ascontiguousarray(change(w)))
    stage, detail = first_failure()
    assert stage == "attention"
    assert message in detail


@pytest.mark.parametrize(("factor", "message"), [(0.0, "adds nothing"), (np.inf, "not finite")])
def test_a_layer_without_effect(
    monkeypatch: pytest.MonkeyPatch, factor: float, message: str
) -> None:
    calls = []

    def change(values: np.ndarray) -> np.ndarray:
        calls.append(1)  # the last layer of the first run only: others would break attention
        return values * np.float32(factor) if len(calls) % 4 == 0 else values

    planted(monkeypatch, "swiglu", change)
    with np.errstate(invalid="ignore"):
        stage, detail = first_failure()
    assert stage == "layers"
    assert message in detail
    assert "layer 3" in detail


@pytest.mark.parametrize(("value", "message"), [(np.nan, "not finite"), (1.0, "every logit is 1")])
def test_dead_logits(monkeypatch: pytest.MonkeyPatch, value: float, message: str) -> None:
    original = CpuBackend.run
    monkeypatch.setattr(
        CpuBackend, "run", lambda *args: np.full_like(original(*args), np.float32(value))
    )
    stage, detail = first_failure()
    assert stage == "logits"
    assert message in detail


def test_a_defect_in_one_numeric_path(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Model.session

    def session(model: Model) -> Any:
        found = original(model)
        if model.numerics == "fused":
            advance = found.advance
            found.advance = lambda ids, **how: advance(ids, **how)[:, ::-1]  # type: ignore[method-assign]
        return found

    monkeypatch.setattr(Model, "session", session)
    assert first_failure()[0] == "numerics"


def test_a_cache_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KVCache, "commit", lambda self, tokens: None)
    stage, detail = first_failure()
    assert stage == "decoding"
    assert "token by token" in detail


def test_draws_that_do_not_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    from inference.decode import sampling

    random = np.random.default_rng(3)
    monkeypatch.setattr(sampling.np.random, "default_rng", lambda seed: random)
    stage, detail = first_failure()
    assert stage == "decoding"
    assert "one seed draws" in detail
