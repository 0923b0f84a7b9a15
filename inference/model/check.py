"""Is a model file sound, and does the engine answer sensibly with it? Stages with verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from inference.errors import EngineError
from inference.formats import ModelFile, open_model
from inference.formats.config import model_config
from inference.formats.validate import ValidatedEmbedding, ValidatedVector, ValidatedWeight
from inference.model.language_model import Model
from inference.quant import dequantize
from inference.trace.diff import cosine

PROMPT = "What is 2+2?"
FALLBACK_IDS = (1, 2, 3, 4, 5, 6, 7)
MIN_COSINE = 0.99
"""Lowest cosine of the two numeric paths' logits; rounding activations to int8 costs under 1e-3."""


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
        ("open", subject.open),
        ("config", subject.config),
        ("tensors", subject.tensors),
        ("tokenizer", subject.tokenizer),
        ("forward f32", subject.forward_f32),
        ("forward fused", subject.forward_fused),
        ("paths agree", subject.paths_agree),
        ("cache", subject.cache),
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
        self._logits: dict[str, np.ndarray] = {}

    @property
    def file(self) -> ModelFile:
        assert self._file is not None
        return self._file

    def open(self) -> str:
        self._file = open_model(self.path)
        return f"{self.file.format}, {len(self.file.tensors)} tensors"

    def config(self) -> str:
        c = model_config(self.file)
        return (
            f"{c.architecture}, {c.layers} layers, hidden {c.hidden}, {c.heads} heads, "
            f"{c.kv_heads} kv heads, vocab {c.vocab}"
        )

    def tensors(self) -> str:
        values = 0
        for name, info in self.file.tensors.items():
            data = dequantize(self.file.raw(name), info.dtype, info.shape)
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

    def forward_f32(self) -> str:
        return self._forward("f32")

    def forward_fused(self) -> str:
        return self._forward("fused")

    def paths_agree(self) -> str:
        agreement = cosine(self._logits["f32"], self._logits["fused"])
        if not agreement >= MIN_COSINE:
            raise Failed(f"cosine of the f32 and fused logits is {agreement:.6f} < {MIN_COSINE}")
        return f"cosine of the f32 and fused logits is {agreement:.6f}"

    def cache(self) -> str:
        with self._model("fused") as model:
            session = model.session()
            for token in self._ids:
                step = session.advance([token])
        agreement = cosine(step, self._logits["fused"])
        if not agreement >= MIN_COSINE:
            raise Failed(f"token by token and in one batch differ: cosine {agreement:.6f}")
        return f"token by token equals one batch: cosine {agreement:.6f}"

    def _model(self, numerics: Literal["f32", "fused"]) -> Model:
        return Model(open_model(self.path), numerics=numerics, f32_cache_bytes=0)

    def _forward(self, numerics: Literal["f32", "fused"]) -> str:
        with self._model(numerics) as model:
            logits = model.session().advance(self._ids)[-1]
        if not np.isfinite(logits).all():
            raise Failed(f"{np.count_nonzero(~np.isfinite(logits))} logits are not finite")
        if logits.min() == logits.max():
            raise Failed(f"every logit is {logits[0]:.6g}")
        self._logits[numerics] = logits
        return f"best token {int(np.argmax(logits))}, logit {logits.max():.3f}"

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
