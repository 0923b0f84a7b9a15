"""A decoder with a memory: tokens in, logits out, the past kept in a cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.backends.protocol import Array, Backend, Cache, Capture, Step, Timing
from inference.errors import InputError
from inference.model.config import ModelConfig
from inference.model.ops import Program

PREFILL_TOKENS = 256
"""Tokens run through the program at a time, which bounds the attention matrices."""


def token_ids(ids: ArrayLike, vocab: int) -> NDArray[np.intp]:
    """Return ``ids`` as an array after checking that each is a token of the vocabulary.

    Raises:
        InputError: no tokens, not integers, or an id outside 0..vocab-1.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"token ids must be a non-empty list, got shape {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"token ids must be integers, got {array.dtype}")
    outside = np.flatnonzero((array < 0) | (array >= vocab))
    if outside.size:
        where = int(outside[0])
        raise InputError(
            f"token id {array[where]} at position {where} is not in the vocabulary 0..{vocab - 1}"
        )
    return array.astype(np.intp)


class Session:
    """One conversation with a model: a key-value cache and the steps that extend it."""

    def __init__(self, backend: Backend, program: Program, config: ModelConfig) -> None:
        self._backend = backend
        self._program = program
        self._config = config
        self._vocab = config.vocab
        self._ids: list[int] = []
        self.cache = backend.cache(config)

    @property
    def length(self) -> int:
        """Number of tokens seen so far."""
        return self.cache.length

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens seen so far."""
        return tuple(self._ids[: self.length])

    def advance(
        self,
        ids: Sequence[int] | NDArray[np.integer],
        *,
        every_row: bool = False,
        capture: Capture | None = None,
    ) -> NDArray[np.float32]:
        """Run the next tokens; return the last one's logits [1, vocab], or every one's.

        An observed run takes all tokens in one batch, so that a stage is seen whole.

        Raises:
            InputError: an id is not in the vocabulary.
            ContextOverflowError: the tokens do not fit the context; nothing has been computed.
        """
        tokens = token_ids(ids, self._vocab)
        self.cache.reserve(len(tokens))
        batch = len(tokens) if capture is not None else PREFILL_TOKENS
        logits = []
        for i in range(0, len(tokens), batch):
            step = Step([self._noted(tokens[i : i + batch])], every_row=every_row, capture=capture)
            logits.append(self._backend.run(self._program, step))
        if not every_row:
            return logits[-1]
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def timed(self, ids: Sequence[int] | NDArray[np.integer]) -> list[Timing]:
        """Run the next tokens as `advance` does; return what the program's parts took.

        Raises:
            InputError, ContextOverflowError: as `advance`.
        """
        tokens = token_ids(ids, self._vocab)
        self.cache.reserve(len(tokens))
        timings: list[Timing] = []
        for i in range(0, len(tokens), PREFILL_TOKENS):
            step = Step([self._noted(tokens[i : i + PREFILL_TOKENS])])
            timings += self._backend.timed(self._program, step)
        return timings

    @staticmethod
    def advance_together(texts: Sequence[tuple[Session, Sequence[int]]]) -> NDArray[np.float32]:
        """Run the next tokens of several sessions of one model as one batch.

        Returns the last token's logits of each, [sessions, vocab]. In float32 they are bit for bit
        what `advance` returns for up to ``PREFILL_TOKENS`` tokens at a time.

        Raises:
            InputError: an id is not in the vocabulary, or the sessions are not of one model, or
                one comes twice.
            ContextOverflowError: tokens do not fit a context; nothing has been computed.
        """
        first = texts[0][0]
        if len({id(session) for session, _ in texts}) < len(texts):
            raise InputError("a session cannot run twice in one batch")
        if any(session._backend is not first._backend for session, _ in texts):
            raise InputError("only sessions of one model can run in one batch")
        tokens = [token_ids(ids, first._vocab) for _, ids in texts]
        for (session, _), new in zip(texts, tokens, strict=True):
            session.cache.reserve(len(new))
        noted = [session._noted(new) for (session, _), new in zip(texts, tokens, strict=True)]
        return first._backend.run(first._program, Step(noted))

    def _noted(self, tokens: NDArray[np.intp]) -> tuple[NDArray[np.intp], Cache]:
        # Before the run that makes them the past: an interrupt may come between.
        self._ids[self.length :] = tokens.tolist()
        return tokens, self.cache

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` tokens.

        Raises:
            InputError: there are fewer tokens, or ``length`` is negative.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"cannot truncate a session of {self.length} tokens to {length}")
        self.cache.truncate(length)

    def fork(self) -> Session:
        """Return a second session with the same past; the two go on independently."""
        twin = Session(self._backend, self._program, self._config)
        twin.restore(self.ids, *self.cache.snapshot())
        return twin

    def restore(self, ids: Sequence[int], keys: Array, values: Array) -> None:
        """Make ``ids`` and a snapshot of their cache the whole past.

        Raises:
            ValueError: the snapshot is of another shape, or an id is not in the vocabulary.
            ContextOverflowError: it is longer than the context.
        """
        if keys.shape[1:2] != (len(ids),):
            raise ValueError(f"{len(ids)} tokens, but keys {keys.shape}")
        known = token_ids(ids, self._vocab).tolist() if len(ids) else []
        self.cache.restore(keys, values)
        self._ids = known

    def reuse(self, ids: Sequence[int]) -> Sequence[int]:
        """Keep the longest past that ``ids`` begins with; return the ids still to be run.

        At least one is, for the sake of its logits. What a reused prefix gives differs from a cold
        run by rounding alone, as far as batches of different sizes do.
        """
        common = 0
        for mine, theirs in zip(self.ids, ids[:-1], strict=False):
            if mine != theirs:
                break
            common += 1
        self.truncate(common)
        return ids[common:]
