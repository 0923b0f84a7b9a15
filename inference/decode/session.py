"""One text with a model, and the guard that lets one call at a time have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.backends.protocol import Array, Backend, Cache, Capture, Timing
from inference.decode.ownership import Call, Ownership
from inference.decode.past import Past
from inference.model.config import ModelConfig
from inference.model.ops import Program


class Session:
    """One conversation with a model: a key-value cache and the steps that extend it.

    A session belongs to one call at a time, from the first check to the last token. Another call,
    from whatever thread, callback or signal handler, gets a `SessionBusyError` at once; nothing of
    it has happened then. ``ids`` and ``length`` may be read at any time. Sessions share nothing, a
    fork and its origin neither: as many threads as you like may use a model, each with its own.
    """

    def __init__(self, backend: Backend, program: Program, config: ModelConfig) -> None:
        self._parts = backend, program, config
        self._past = Past(backend, program, config)
        self._ownership = Ownership()

    @property
    def length(self) -> int:
        """Number of tokens seen so far."""
        return self._past.length

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens seen so far."""
        return self._past.ids

    @property
    def cache(self) -> Cache:
        """The keys and values; for whoever knows that no call has the session."""
        return self._past.cache

    def claim(self, call: Call) -> Past:
        """Return what is guarded, for ``call`` alone until it is over; SessionBusyError if in use.

        See `inference.decode.ownership.Call` for how a call is ended.
        """
        self._ownership.claim(call)
        return self._past

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
            SessionBusyError: another call has the session.
        """
        call = Call("advance")
        try:
            return self.claim(call).advance(ids, every_row=every_row, capture=capture)
        finally:
            call.over = True

    def timed(self, ids: Sequence[int] | NDArray[np.integer]) -> list[Timing]:
        """Run the next tokens as `advance` does; return what the program's parts took.

        Raises:
            InputError, ContextOverflowError, SessionBusyError: as `advance`.
        """
        call = Call("timed")
        try:
            return self.claim(call).timed(ids)
        finally:
            call.over = True

    @staticmethod
    def advance_together(texts: Sequence[tuple[Session, Sequence[int]]]) -> NDArray[np.float32]:
        """Run the next tokens of several sessions of one model as one batch.

        Returns the last token's logits of each, [sessions, vocab]. In float32 they are bit for bit
        what `advance` returns for up to ``PREFILL_TOKENS`` tokens at a time.

        Raises:
            InputError: an id is not in the vocabulary, or the sessions are not of one model, or
                one comes twice.
            ContextOverflowError: tokens do not fit a context; nothing has been computed.
            SessionBusyError: another call has one of them; nothing has been computed.
        """
        call = Call("advance_together")
        try:
            return Past.advance_together([(s.claim(call), ids) for s, ids in texts])
        finally:
            call.over = True

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` tokens.

        Raises:
            InputError: there are fewer tokens, or ``length`` is negative.
            SessionBusyError: another call has the session.
        """
        call = Call("truncate")
        try:
            self.claim(call).truncate(length)
        finally:
            call.over = True

    def fork(self) -> Session:
        """Return a second session with the same past; the two go on independently.

        Raises:
            SessionBusyError: another call has the session; a fork of its next moment would do.
        """
        twin = Session(*self._parts)
        twin.restore(*self.snapshot())
        return twin

    def snapshot(self) -> tuple[tuple[int, ...], Array, Array]:
        """Return the tokens seen so far and copies of their keys and values, as `restore` takes.

        Raises:
            SessionBusyError: another call has the session.
        """
        call = Call("snapshot")
        try:
            return self.claim(call).snapshot()
        finally:
            call.over = True

    def restore(self, ids: Sequence[int], keys: Array, values: Array) -> None:
        """Make ``ids`` and a snapshot of their cache the whole past.

        Raises:
            ValueError: the snapshot is of another shape, or an id is not in the vocabulary.
            ContextOverflowError: it is longer than the context.
            SessionBusyError: another call has the session.
        """
        call = Call("restore")
        try:
            self.claim(call).restore(ids, keys, values)
        finally:
            call.over = True

    def reuse(self, ids: Sequence[int]) -> Sequence[int]:
        """Keep the longest past that ``ids`` begins with; return the ids still to be run.

        At least one is, for the sake of its logits. What a reused prefix gives differs from a cold
        run by rounding alone, as far as batches of different sizes do.

        Raises:
            SessionBusyError: another call has the session.
        """
        call = Call("reuse")
        try:
            return self.claim(call).reuse(ids)
        finally:
            call.over = True
