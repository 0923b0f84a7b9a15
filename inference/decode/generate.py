"""Generation in three layers: token ids, pieces of text, a finished text with timings."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from inference.decode.sampling import sample
from inference.errors import ContextOverflowError, InputError

if TYPE_CHECKING:
    from inference.model.session import Session
    from inference.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to continue a prompt. Temperature 0 is greedy; ``seed`` matters above 0."""

    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not 0.0 <= self.temperature < math.inf:
            raise InputError(f"temperature must be finite and >= 0, got {self.temperature}")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True, slots=True)
class Piece:
    """One generated token and the text that it completes (empty inside a multi-byte character)."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished continuation; times in seconds.

    ``prefill_s`` is the time to the first token, ``decode_s`` that of all later ones.
    ``finish_reason`` is ``stop`` at an end-of-generation token, else ``length``.
    """

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    finish_reason: Literal["stop", "length"]
    prefill_s: float
    decode_s: float

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed after the first token; 0 when there was no second one."""
        later = len(self.ids) - 1
        return later / self.decode_s if later > 0 and self.decode_s > 0 else 0.0

    def __str__(self) -> str:
        return self.text


def generate_ids(
    session: Session, prompt: Sequence[int], options: GenerationOptions, stop: frozenset[int]
) -> Iterator[int]:
    """Yield new token ids until a stop token (not yielded) or ``max_tokens``.

    Raises:
        ContextOverflowError: prompt and ``max_tokens`` together exceed the context.
    """
    wanted = session.length + len(prompt) + options.max_tokens
    if wanted > session.cache.capacity:
        room = session.cache.capacity - session.length - len(prompt)
        raise ContextOverflowError(
            f"{len(prompt)} prompt tokens and {options.max_tokens} new ones do not fit a context "
            f"of {session.cache.capacity}; at most {max(room, 0)} new tokens do"
        )
    rng = np.random.default_rng(options.seed)
    ids: Sequence[int] = prompt
    for _ in range(options.max_tokens):
        token = sample(session.advance(ids)[-1], options.temperature, rng)
        if token in stop:
            return
        yield token
        ids = (token,)


def stream(
    session: Session, tokenizer: Tokenizer, prompt: Sequence[int], options: GenerationOptions
) -> Iterator[Piece]:
    """Yield each new token with the text that it completes."""
    stop = frozenset() if options.ignore_eos else frozenset(tokenizer.eog_ids)
    text = tokenizer.stream(skip_special=False)
    for token in generate_ids(session, prompt, options, stop):
        yield Piece(token, text.push(token))


def generate(
    session: Session, tokenizer: Tokenizer, prompt: Sequence[int], options: GenerationOptions
) -> Generation:
    """Run `stream` to its end and time it."""
    ids: list[int] = []
    begin = first = time.perf_counter()
    for piece in stream(session, tokenizer, prompt, options):
        if not ids:
            first = time.perf_counter()
        ids.append(piece.id)
    end = time.perf_counter()
    if not ids:
        first = end
    return Generation(
        prompt_ids=tuple(int(i) for i in prompt),
        ids=tuple(ids),
        text=tokenizer.decode(ids),
        finish_reason="length" if len(ids) == options.max_tokens else "stop",
        prefill_s=first - begin,
        decode_s=end - first,
    )
