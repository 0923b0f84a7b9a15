"""Generation in three layers: token ids, pieces of text, a finished text with timings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from inference.decode.options import GenerationOptions
from inference.decode.sampling import Logprobs, Sampler, logprobs
from inference.decode.stop import StopFinder
from inference.errors import ContextOverflowError

if TYPE_CHECKING:
    from inference.model.session import Session
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


@dataclass(frozen=True, slots=True)
class Choice:
    """One generated token; ``logprobs`` when asked for."""

    id: int
    logprobs: Logprobs | None


def choices(
    session: Session, prompt: Sequence[int], options: GenerationOptions, ends: frozenset[int]
) -> Iterator[Choice]:
    """Yield new tokens until one of ``ends`` (not yielded), ``max_tokens`` or the context's end.

    ``prompt`` is the whole text so far; what the session has seen of it is not run again.

    Raises:
        ContextOverflowError: prompt and ``max_tokens`` together exceed the context.
    """
    count = _room(session, len(prompt), options)
    sampler = Sampler(options, prompt)
    ids = session.reuse(prompt)
    for _ in range(count):
        logits = session.advance(ids)[-1]
        token = sampler.choose(logits)
        if token in ends:
            return
        wanted = options.logprobs
        yield Choice(token, None if wanted is None else logprobs(logits, token, wanted))
        ids = (token,)


def _room(session: Session, prompt: int, options: GenerationOptions) -> int:
    """Return how many tokens to generate at most."""
    capacity = session.cache.capacity
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
    """The pieces of one generation; ``finish_reason`` is known once they are exhausted."""

    def __init__(
        self,
        session: Session,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: GenerationOptions,
    ) -> None:
        self.finish_reason: FinishReason = "length"
        self._pieces = self._run(session, tokenizer, prompt, options)

    def __next__(self) -> Piece:
        return next(self._pieces)

    def _run(
        self,
        session: Session,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: GenerationOptions,
    ) -> Iterator[Piece]:
        ends = frozenset() if options.ignore_eos else frozenset(tokenizer.eog_ids)
        characters = tokenizer.stream(skip_special=False)
        stop = StopFinder(options.stop)
        count = _room(session, len(prompt), options)
        for place, choice in enumerate(choices(session, prompt, options, ends), 1):
            text = stop.push(characters.push(choice.id))
            if place == count and stop.found is None:
                text += stop.push(characters.finish()) + stop.finish()
            if stop.found is not None:
                self.finish_reason = "stop"
            yield Piece(choice.id, text, choice.logprobs)
            if stop.found is not None or place == count:
                return
        self.finish_reason = "stop"
        rest = stop.push(characters.finish()) + stop.finish()
        if rest:
            yield Piece(None, rest)


def generate(
    session: Session, tokenizer: Tokenizer, prompt: Sequence[int], options: GenerationOptions
) -> Generation:
    """Run a `Continuation` to its end and time it."""
    pieces: list[Piece] = []
    begin = first = time.perf_counter()
    continuation = Continuation(session, tokenizer, prompt, options)
    for piece in continuation:
        if not pieces:
            first = time.perf_counter()
        pieces.append(piece)
    end = time.perf_counter()
    if not pieces:
        first = end
    return Generation(
        prompt_ids=tuple(int(i) for i in prompt),
        ids=tuple(piece.id for piece in pieces if piece.id is not None),
        text="".join(piece.text for piece in pieces),
        finish_reason=continuation.finish_reason,
        prefill_s=first - begin,
        decode_s=end - first,
        logprobs=tuple(piece.logprobs for piece in pieces if piece.logprobs is not None),
    )
