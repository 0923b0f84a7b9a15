"""Is a model file sound, and does the engine answer sensibly with it? Ten stages with verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.engine.model import Model
from inference.errors import EngineError
from inference.formats import ModelFile, open_model
from inference.formats.config import model_config
from inference.formats.overlay import tensor_values
from inference.formats.validate import ValidatedEmbedding, ValidatedVector, ValidatedWeight
from inference.model.stages import Stage
from inference.trace.activations import Trace
from inference.trace.diff import cosine
from inference.trace.plan import TracePlan

PROMPT = "What is 2+2?"
FALLBACK_IDS = (1, 2, 3, 4, 5, 6, 7)
DECODED = 8
MIN_COSINE = 0.99
"""Lowest cosine of the two numeric paths' logits; rounding activations to int8 costs under 1e-3."""
MAX_ERROR = 1e-3
"""How far float32 may carry a sum of weights from 1, or a rotated vector's length from its own."""
_WATCHED = (Stage.EMBEDDING, Stage.ATTN_SOFTMAX, Stage.FFN_OUT, Stage.POST_FFN_RESIDUAL)
_ROTATED = {Stage.Q_POST_ROPE: "queries", Stage.K_POST_ROPE: "keys"}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One stage: what was looked at and what was found; SKIPPED when an earlier stage failed."""

    stage: str
    verdict: Literal["OK", "FAILED", "SKIPPED"]
    detail: str
    seconds: float


class Failed(EngineError):
    """A check found what it looks for."""


def check_model(path: str | Path) -> Iterator[CheckResult]:
    """Yield the result of each stage as it is known; the first failure ends the work."""
    subject = _Subject(Path(path))
    stages: tuple[tuple[str, Callable[[], str]], ...] = (
        ("file", subject.file_itself),
        ("tensors", subject.tensors),
        ("tokenizer", subject.tokenizer),
        ("embedding", subject.embedding),
        ("rope", subject.rope),
        ("attention", subject.attention),
        ("layers", subject.layers),
        ("logits", subject.logits),
        ("numerics", subject.numerics),
        ("decoding", subject.decoding),
    )
    failed = False
    try:
        for name, run in stages:
            if failed:
                yield CheckResult(name, "SKIPPED", "an earlier stage failed", 0.0)
                continue
            begin = time.perf_counter()
            try:
                detail = run()
                verdict: Literal["OK", "FAILED"] = "OK"
            except EngineError as error:
                detail, verdict, failed = str(error), "FAILED", True
            yield CheckResult(name, verdict, detail, time.perf_counter() - begin)
    finally:
        subject.close()


class _Subject:
    """The model under check, opened once, with what one stage leaves for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: ModelFile | None = None
        self._ids: list[int] = list(FALLBACK_IDS)

    @property
    def file(self) -> ModelFile:
        assert self._file is not None
        return self._file

    @cached_property
    def exact(self) -> Trace:
        """The prompt in float32, with what the stages look at of every layer."""
        with self._model("f32") as model:
            return model.trace(self._ids, TracePlan(_WATCHED))

    def file_itself(self) -> str:
        self._file = open_model(self.path)
        c = model_config(self.file)
        return (
            f"{self.file.format}, {len(self.file.tensors)} tensors; {c.architecture}, "
            f"{c.layers} layers, hidden {c.hidden}, {c.heads} heads, {c.kv_heads} kv heads, "
            f"vocab {c.vocab}"
        )

    def tensors(self) -> str:
        values = 0
        for name, info in self.file.tensors.items():
            data = tensor_values(self.file, name)
            if name == "token_embd.weight":
                ValidatedEmbedding(data, *info.shape)
            elif len(info.shape) == 2:
                ValidatedWeight(data, *info.shape, name)
            else:
                ValidatedVector(data, data.size, name)
            values += data.size
        return f"{values:,} values, all finite; no tensor empty or constant"

    def tokenizer(self) -> str:
        with self._model("fused") as model:
            tokenizer = model.tokenizer
            self._ids = tokenizer.encode(PROMPT)
            back = tokenizer.decode(self._ids, skip_special=True)
        if back.strip() != PROMPT:
            raise Failed(f"{PROMPT!r} comes back as {back!r} from {self._ids}")
        return f"{PROMPT!r} is {self._ids} and back"

    def embedding(self) -> str:
        rows = dict(zip(self._ids, self.exact.values[Stage.EMBEDDING, 0], strict=True))
        table = np.stack(list(rows.values()))
        _require_finite(table, "the embeddings")
        if len(np.unique(table, axis=0)) < len(table):
            raise Failed(f"two of the tokens {list(rows)} have the same embedding")
        return f"{len(table)} tokens, {len(table)} vectors, RMS {_rms(table):.3g}"

    def rope(self) -> str:
        with self._model("fused") as model:
            same = [self._ids[0]] * 5
            plan = TracePlan(tuple(_ROTATED), range(1))
            values = model.trace(same, plan).values
            heads = model.config.head_dim
        for stage, what in _ROTATED.items():
            rotated = values[stage, 0].reshape(len(same), -1, heads).astype(np.float64)
            lengths = np.linalg.norm(rotated, axis=-1)
            change = float(np.max(np.abs(lengths - lengths[0])) / lengths.max())
            if not change <= MAX_ERROR:
                raise Failed(f"rotation changes the length of {what} by {change:.2e}")
            if np.allclose(rotated[0], rotated[1:], rtol=MAX_ERROR, atol=0):
                raise Failed(f"{what} of one token are the same at positions 0 to 4")
        return "positions turn queries and keys, and keep their length"

    def attention(self) -> str:
        n = len(self._ids)
        for layer, weights in self._of_layers(Stage.ATTN_SOFTMAX):
            _require_finite(weights, f"the attention weights of layer {layer}")
            error = float(np.max(np.abs(weights.sum(axis=-1, dtype=np.float64) - 1)))
            if not error <= MAX_ERROR or weights.min() < 0:
                raise Failed(f"attention weights of layer {layer} miss a sum of 1 by {error:.2e}")
            if np.any(np.triu(weights.reshape(-1, n, n), 1)):
                raise Failed(f"a token of layer {layer} attends to one that comes later")
        return "weights of every head sum to 1, none on a later token"

    def layers(self) -> str:
        before = self.exact.values[Stage.EMBEDDING, 0]
        sizes = []
        for layer, after in self._of_layers(Stage.POST_FFN_RESIDUAL):
            _require_finite(after, f"the output of layer {layer}")
            added = self.exact.values[Stage.FFN_OUT, layer]
            if np.array_equal(before, after) or not np.any(added):
                raise Failed(f"layer {layer} adds nothing to what it is given")
            before = after
            sizes.append(_rms(after))
        return f"{len(sizes)} layers, RMS of their outputs {min(sizes):.3g} to {max(sizes):.3g}"

    def logits(self) -> str:
        logits = self.exact.logits
        _require_finite(logits, "the logits")
        if logits.min() == logits.max():
            raise Failed(f"every logit is {logits[0]:.6g}")
        return f"best token {int(np.argmax(logits))}, logit {logits.max():.3f}"

    def numerics(self) -> str:
        agreement = cosine(self.exact.logits, self._fused)
        if not agreement >= MIN_COSINE:
            raise Failed(f"cosine of the f32 and fused logits is {agreement:.6f} < {MIN_COSINE}")
        return f"cosine of the f32 and fused logits is {agreement:.6f}"

    @cached_property
    def _fused(self) -> NDArray[np.float32]:
        with self._model("fused") as model:
            last: NDArray[np.float32] = model.session().advance(self._ids)[-1]
        return last

    def decoding(self) -> str:
        with self._model("fused") as model:
            session = model.session()
            for token in self._ids:
                step = session.advance([token])
            agreement = cosine(step[-1], self._fused)
            if not agreement >= MIN_COSINE:
                raise Failed(f"token by token and in one batch differ: cosine {agreement:.6f}")
            drawn = [
                model.generate(
                    self._ids, max_tokens=DECODED, temperature=1.0, seed=7, ignore_eos=True
                ).ids
                for _ in range(2)
            ]
        if drawn[0] != drawn[1]:
            raise Failed(f"one seed draws {list(drawn[0])} and then {list(drawn[1])}")
        return f"token by token equals one batch: cosine {agreement:.6f}; a seed repeats its draws"

    def _of_layers(self, stage: Stage) -> Iterator[tuple[int, NDArray[np.float32]]]:
        found = ((key[1], value) for key, value in self.exact.values.items() if key[0] is stage)
        return ((layer, value) for layer, value in found if layer is not None)

    def _model(self, numerics: Literal["f32", "fused"]) -> Model:
        return Model(open_model(self.path), numerics=numerics, f32_cache_bytes=0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _require_finite(values: NDArray[np.float32], what: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise Failed(f"{bad} of {values.size} values of {what} are not finite")


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
