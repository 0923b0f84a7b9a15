"""Generation in three layers: token ids, pieces of text, a finished text with timings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from inference.decode.options import GenerationOptions
from inference.decode.ownership import Call
from inference.decode.sampling import Logprobs, Sampler, logprobs
from inference.decode.stop import StopFinder
from inference.errors import ContextOverflowError, SessionBusyError

if TYPE_CHECKING:
    from inference.decode.past import Past
    from inference.decode.session import Session
    from inference.text.tokenizer import Tokenizer

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One generated token and the text that it completes.

    The text is empty inside a multi-byte character and while it may become a stop string. What is
    still held back when an end-of-generation token comes is a last piece of its own; its ``id`` is
    None.
    """

    id: int | None
    text: str
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished continuation; times in seconds.

    ``prefill_s`` is the time to the first token, ``decode_s`` that of all later ones. ``ids`` are
    all generated tokens, those of a stop string too; ``text`` ends before the stop string.
    ``finish_reason`` is ``stop`` at an end-of-generation token or a stop string, else ``length``.
    ``logprobs`` has one entry per id when asked for.
    """

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    prefill_s: float
    decode_s: float
    logprobs: tuple[Logprobs, ...] = ()

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed after the first token; 0 when there was no second one."""
        later = len(self.ids) - 1
        return later / self.decode_s if later > 0 and self.decode_s > 0 else 0.0

    def __str__(self) -> str:
        return self.text


class Writer:
    """One text in the making: logits in, pieces out.

    ``pending`` are the tokens that the session must run next; once there are none, the text is
    finished, and ``finish_reason`` is known.
    """

    def __init__(
        self,
        past: Past,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: GenerationOptions,
    ) -> None:
        """Begin; what the session has seen of ``prompt``, the whole text so far, stays.

        ``ContextOverflowError`` when prompt and ``max_tokens`` together exceed the context.
        """
        self._left = _room(past, len(prompt), options)
        self._options = options
        self._sampler = Sampler(options, prompt, tokenizer.suppressed_ids)
        self._ends = frozenset() if options.ignore_eos else frozenset(tokenizer.eog_ids)
        self._characters = tokenizer.stream(skip_special=False)
        self._stop = StopFinder(options.stop)
        self.finish_reason: FinishReason = "length"
        self.pending: Sequence[int] = past.reuse(prompt)

    def take(self, logits: NDArray[np.float32]) -> Piece | None:
        """Choose the token after ``pending`` from its logits [vocab]; None if it ends the text."""
        token = self._sampler.choose(logits)
        self._left -= 1
        if token in self._ends:
            self._finish("stop")
            rest = self._flush()
            return Piece(None, rest) if rest else None
        text = self._stop.push(self._characters.push(token))
        self.pending = (token,)
        if self._stop.found is not None:
            self._finish("stop")
        elif self._left == 0:
            self._finish("length")
            text += self._flush()
        wanted = self._options.logprobs
        return Piece(token, text, None if wanted is None else logprobs(logits, token, wanted))

    def _flush(self) -> str:
        text = self._stop.push(self._characters.finish()) + self._stop.finish()
        if self._stop.found is not None:
            self.finish_reason = "stop"
        return text

    def _finish(self, reason: FinishReason) -> None:
        self.pending = ()
        self.finish_reason = reason


def _room(past: Past, prompt: int, options: GenerationOptions) -> int:
    """Return how many tokens to generate at most."""
    capacity = past.cache.capacity
    room = capacity - prompt
    if options.max_tokens <= room:
        return options.max_tokens
    if options.overflow == "truncate" and room > 0:
        return room
    raise ContextOverflowError(
        f"{prompt} prompt tokens and {options.max_tokens} new ones do not fit a context "
        f"of {capacity}; at most {max(room, 0)} new tokens do"
    )


class Continuation(Iterator[Piece]):
    """The pieces of one generation; ``finish_reason`` is known once they are exhausted.

    The session belongs to it while a token is computed, and to anybody in between. Once another
    call has changed it, every next piece is a `SessionBusyError`, as a dictionary that has changed
    tells its iterator. One that comes while another call has the session may be tried again.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: GenerationOptions,
    ) -> None:
        self.finish_reason: FinishReason = "length"
        self._session = session
        self._text = tokenizer, prompt, options
        self._writer: Writer | None = None
        self._changes = 0  # of the session, when this had it last
        self._ended = False

    def __next__(self) -> Piece:
        while not self._ended:
            call = Call("a stream's next token")
            try:
                piece = self._next(self._session.claim(call))
            finally:
                call.over = True
            if piece is not None:
                return piece
        raise StopIteration

    def _next(self, past: Past) -> Piece | None:
        if self._writer is not None and past.changes != self._changes:
            raise SessionBusyError(
                "another call has changed the session since the stream's last token; fork the "
                "session before, or give every text a session of its own"
            )
        self._ended = True  # unless all goes well
        if self._writer is None:
            self._writer = Writer(past, *self._text)
        writer = self._writer
        piece = writer.take(past.advance(writer.pending)[-1]) if writer.pending else None
        self.finish_reason = writer.finish_reason
        self._changes = past.changes
        self._ended = not writer.pending
        return piece


class Transcript:
    """The pieces of one generation with the times of the first and the last."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._prompt = tuple(int(i) for i in prompt)
        self._pieces: list[Piece] = []
        self._begin = time.perf_counter()
        self._first: float | None = None

    def add(self, piece: Piece) -> None:
        """Note a piece that has just come."""
        if self._first is None:
            self._first = time.perf_counter()
        self._pieces.append(piece)

    def finish(self, reason: FinishReason) -> Generation:
        """Return the generation that has just ended."""
        end = time.perf_counter()
        first = end if self._first is None else self._first
        return Generation(
            prompt_ids=self._prompt,
            ids=tuple(piece.id for piece in self._pieces if piece.id is not None),
            text="".join(piece.text for piece in self._pieces),
            finish_reason=reason,
            prefill_s=first - self._begin,
            decode_s=end - first,
            logprobs=tuple(p.logprobs for p in self._pieces if p.logprobs is not None),
        )


def generate(
    session: Session, tokenizer: Tokenizer, prompt: Sequence[int], options: GenerationOptions
) -> Generation:
    """Write one text to its end and time it; the session belongs to this call all the while."""
    transcript = Transcript(prompt)
    call = Call("generate")
    try:
        past = session.claim(call)
        writer = Writer(past, tokenizer, prompt, options)
        while writer.pending:
            piece = writer.take(past.advance(writer.pending)[-1])
            if piece is not None:
                transcript.add(piece)
    finally:
        call.over = True
    return transcript.finish(writer.finish_reason)
