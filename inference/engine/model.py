"""A model ready to run: the engine's public face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from inference.backends import BACKENDS, BackendName, check_backend, choose_backend
from inference.backends.metrics import MetricsSnapshot
from inference.backends.protocol import Backend, Capabilities, Dispatch
from inference.backends.weights import F32_CACHE_BYTES, Numerics, resolve
from inference.decode.batch import generate_batch
from inference.decode.generate import Continuation, Generation, generate
from inference.decode.options import GenerationOptions
from inference.decode.session import Session
from inference.decode.session_file import identity, load_session, save_session
from inference.errors import EngineError, InputError
from inference.formats import ModelFile, open_model
from inference.formats.config import model_config
from inference.formats.mapped import check_unchanged
from inference.formats.tokenizer import tokenizer_spec
from inference.memory import needing
from inference.model.decoder import build_program
from inference.model.ops import Program
from inference.trace.activations import Trace
from inference.trace.capture import Recorder
from inference.trace.plan import TracePlan

if TYPE_CHECKING:
    from inference.text.tokenizer import Tokenizer


class Model:
    """An open model: one program, one set of weights, one numeric path.

    ``program`` replaces the forward pass that the configuration describes; claims about the engine
    use it to plant a defect and see that it is found. ``f32_cache_bytes`` bounds the float32 copies
    of packed matrices; what does not fit is expanded again at every use. ``lowered=False`` runs
    operation by operation what could run as one piece: to tell a fault of one from the other's.
    """

    def __init__(
        self,
        file: ModelFile,
        *,
        backend: BackendName = "auto",
        numerics: Numerics = "fused",
        f32_cache_bytes: int = F32_CACHE_BYTES,
        program: Program | None = None,
        lowered: bool = True,
    ) -> None:
        weights = sum(prod(info.shape) for info in file.tensors.values())
        self.backend = choose_backend(backend, weights)
        self.numerics = numerics
        self.file = file
        self.config = model_config(file)
        self.program = program or build_program(self.config)
        self._weights = resolve(file, self.program, f32_cache_bytes)
        make = BACKENDS[self.backend].load()
        self._executor: Backend | None = make(self._weights, numerics, lowered=lowered)
        self._executor.expect(self.program)

    @classmethod
    def open(
        cls, path: str | Path, *, backend: BackendName = "auto", numerics: Numerics = "fused"
    ) -> Self:
        """Open a model file; see `inference.load`."""
        check_backend(backend)
        file = open_model(path)
        try:
            with needing(f"to load {path}"):
                model = cls(file, backend=backend, numerics=numerics)
            check_unchanged(file.path)
            return model
        except BaseException:
            file.close()
            raise

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the file carries; TokenizerError when it carries none."""
        from inference.text.tokenizer import Tokenizer

        return Tokenizer.from_spec(tokenizer_spec(self.file))

    @property
    def dispatch(self) -> Sequence[Dispatch]:
        """Which kernel serves each matrix, which way it runs and why, and how often it has run."""
        return self._backend.dispatch

    @property
    def capabilities(self) -> Capabilities:
        """Which way the program takes on its backend, and what keeps it from the fast one."""
        return self._backend.capabilities(self.program)

    @property
    def metrics(self) -> MetricsSnapshot:
        """How many runs of the program went to which device, and how long they took."""
        return self._backend.metrics.snapshot()

    @property
    def _backend(self) -> Backend:
        if self._executor is None:
            raise EngineError(f"{self.file.path}: the model has been closed")
        return self._executor

    def session(self) -> Session:
        """Return a fresh conversation; sessions of one model share nothing but its weights."""
        return Session(self._backend, self.program, self.config)

    def forward(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the logits of every position, float32 [n, vocab].

        Raises:
            InputError: an id is not in the vocabulary, or there is none.
            ContextOverflowError: more tokens than the context holds.
        """
        return self.session().advance(ids, every_row=True)

    def trace(self, ids: Sequence[int], plan: TracePlan | None = None) -> Trace:
        """Run ``ids`` and report statistics of every layer and the values that ``plan`` names.

        Raises:
            InputError: an id is not in the vocabulary, or the plan names layers past the last.
        """
        recorder = Recorder((plan or TracePlan()).within(self.config.layers))
        logits = self.session().advance(ids, capture=recorder)
        return recorder.finish(tuple(int(i) for i in ids), logits[-1])

    def save_session(self, session: Session, path: str | Path) -> None:
        """Write a session of this model to a file.

        Raises:
            ModelFileError: the file cannot be written.
            SessionBusyError: another call has the session.
        """
        save_session(session, Path(path), identity(self.file, self.config, self.numerics))

    def load_session(self, path: str | Path) -> Session:
        """Return the session that a file holds.

        Raises:
            ModelFileError: the file is damaged, or no session.
            InputError: another model saved it, or this one on another numeric path.
        """
        session = self.session()
        load_session(session, Path(path), identity(self.file, self.config, self.numerics))
        return session

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int,
        session: Session | None = None,
        **options: Any,
    ) -> Generation:
        """Continue ``prompt`` by up to ``max_tokens`` tokens.

        ``options`` are the other fields of `GenerationOptions`: greedy unless a temperature is
        given, and stopping before an end-of-generation token unless ``ignore_eos``. A ``session``
        that has already seen the beginning of the prompt computes only the rest.

        Raises:
            InputError: an option or a token id is out of range.
            ContextOverflowError: prompt and ``max_tokens`` together exceed the context.
            SessionBusyError: another call has the session.
        """
        asked = GenerationOptions(max_tokens=max_tokens, **options)
        return generate(session or self.session(), self.tokenizer, self._ids(prompt), asked)

    def generate_batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        max_tokens: int,
        each: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> list[Generation]:
        """Continue several prompts at once; what `generate` returns for each, in order.

        A step reads every weight once for all texts that are not finished, so that several cost
        little more than one. ``each`` holds, for every prompt, options of its own that replace the
        common ones: a seed, stop texts, ``max_tokens``. In float32 the results are bit for bit
        those of `generate`; on the fused path they may differ from it by rounding.

        Raises:
            InputError: an option or a token id is out of range, or ``each`` has another length.
            ContextOverflowError: a prompt and its ``max_tokens`` together exceed the context.
        """
        own = [{}] * len(prompts) if each is None else each
        if len(own) != len(prompts):
            raise InputError(f"{len(prompts)} prompts, but options for {len(own)}")
        asked = [GenerationOptions(**{"max_tokens": max_tokens, **options, **o}) for o in own]
        sessions = [self.session() for _ in prompts]
        ids = [self._ids(prompt) for prompt in prompts]
        return generate_batch(sessions, self.tokenizer, ids, asked)

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int,
        session: Session | None = None,
        **options: Any,
    ) -> Continuation:
        """Return an iterator over the tokens of `generate`, each with the text it completes.

        The session is free between two tokens. Once another call has changed it, the iterator
        raises `SessionBusyError`.
        """
        asked = GenerationOptions(max_tokens=max_tokens, **options)
        return self.continuation(self._ids(prompt), asked, session=session)

    def continuation(
        self, ids: Sequence[int], options: GenerationOptions, *, session: Session | None = None
    ) -> Continuation:
        """Return the iterator of `stream` for token ids and options that are already one value."""
        return Continuation(session or self.session(), self.tokenizer, ids, options)

    def _ids(self, prompt: str | Sequence[int]) -> Sequence[int]:
        if not isinstance(prompt, str):
            return prompt
        return self.tokenizer.encode(prompt, limit=self.config.context_length)

    def release_f32(self) -> None:
        """Drop the float32 copies of packed matrices; they come back when needed."""
        for weight in self._weights.values():
            weight.release()

    def close(self) -> None:
        """Release the weights and the file; the model cannot run afterwards."""
        self._executor = None
        self._weights = {}
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
