"""A decoder with a memory: tokens in, logits out, the past kept in a cache. Nothing guards it."""

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


class Past:
    """What has been seen of a text, and the steps that extend it; for one call at a time.

    ``changes`` grows with every call that changes it, before the change.
    """

    def __init__(self, backend: Backend, program: Program, config: ModelConfig) -> None:
        self._backend = backend
        self._program = program
        self._config = config
        self._vocab = config.vocab
        self._ids: list[int] = []
        self.cache = backend.cache(config)
        self.changes = 0

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
        """Run the next tokens; see `inference.decode.session.Session.advance`."""
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
        """Run the next tokens as `advance` does; return what the program's parts took."""
        tokens = token_ids(ids, self._vocab)
        self.cache.reserve(len(tokens))
        timings: list[Timing] = []
        for i in range(0, len(tokens), PREFILL_TOKENS):
            step = Step([self._noted(tokens[i : i + PREFILL_TOKENS])])
            timings += self._backend.timed(self._program, step)
        return timings

    @staticmethod
    def advance_together(texts: Sequence[tuple[Past, Sequence[int]]]) -> NDArray[np.float32]:
        """Run the next tokens of several texts; see `Session.advance_together`."""
        first = texts[0][0]
        if len({id(past) for past, _ in texts}) < len(texts):
            raise InputError("a session cannot run twice in one batch")
        if any(past._backend is not first._backend for past, _ in texts):
            raise InputError("only sessions of one model can run in one batch")
        tokens = [token_ids(ids, first._vocab) for _, ids in texts]
        for (past, _), new in zip(texts, tokens, strict=True):
            past.cache.reserve(len(new))
        noted = [past._noted(new) for (past, _), new in zip(texts, tokens, strict=True)]
        return first._backend.run(first._program, Step(noted))

    def _noted(self, tokens: NDArray[np.intp]) -> tuple[NDArray[np.intp], Cache]:
        # Before the run that makes them the past: an interrupt may come between.
        self.changes += 1
        self._ids[self.length :] = tokens.tolist()
        return tokens, self.cache

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` tokens; InputError if there are fewer."""
        if not 0 <= length <= self.length:
            raise InputError(f"cannot truncate a session of {self.length} tokens to {length}")
        if length < self.length:
            self.changes += 1
            self.cache.truncate(length)

    def snapshot(self) -> tuple[tuple[int, ...], Array, Array]:
        """Return the tokens seen so far and copies of their keys and values, as `restore` takes."""
        return self.ids, *self.cache.snapshot()

    def restore(self, ids: Sequence[int], keys: Array, values: Array) -> None:
        """Make ``ids`` and a snapshot of their cache the whole past.

        Raises:
            ValueError: the snapshot is of another shape, or an id is not in the vocabulary.
            ContextOverflowError: it is longer than the context.
        """
        if keys.shape[1:2] != (len(ids),):
            raise ValueError(f"{len(ids)} tokens, but keys {keys.shape}")
        known = token_ids(ids, self._vocab).tolist() if len(ids) else []
        self.changes += 1
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
