"""Several texts at once: each step runs the next tokens of all of them as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.decode.generate import Generation, Transcript, Writer
from inference.decode.ownership import Call
from inference.decode.past import PREFILL_TOKENS, Past

if TYPE_CHECKING:
    from inference.decode.options import GenerationOptions
    from inference.decode.session import Session
    from inference.text.tokenizer import Tokenizer


@dataclass(slots=True)
class _Text:
    past: Past
    writer: Writer
    transcript: Transcript
    seen: int = 0
    """How many of the writer's pending tokens the session has run."""

    def next_tokens(self) -> Sequence[int]:
        return self.writer.pending[self.seen : self.seen + PREFILL_TOKENS]


def generate_batch(
    sessions: Sequence[Session],
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    options: Sequence[GenerationOptions],
) -> list[Generation]:
    """Continue every prompt in its session; each ends for itself, the others go on.

    Raises:
        InputError: an option or a token id is out of range.
        ContextOverflowError: a prompt and its ``max_tokens`` together exceed the context; nothing
            has been computed.
        SessionBusyError: another call has one of the sessions; nothing has been computed.
    """
    call = Call("generate_batch")
    try:
        pasts = [session.claim(call) for session in sessions]
        texts = [
            _Text(past, Writer(past, tokenizer, prompt, asked), Transcript(prompt))
            for past, prompt, asked in zip(pasts, prompts, options, strict=True)
        ]
        return _write(texts)
    finally:
        call.over = True


def _write(texts: Sequence[_Text]) -> list[Generation]:
    finished: dict[int, Generation] = {}
    while len(finished) < len(texts):
        for numbers in _batches(texts, [n for n in range(len(texts)) if n not in finished]):
            work = [(texts[n].past, texts[n].next_tokens()) for n in numbers]
            logits = Past.advance_together(work)
            for n, row, (_, tokens) in zip(numbers, logits, work, strict=True):
                text = texts[n]
                text.seen += len(tokens)
                if text.seen < len(text.writer.pending):
                    continue  # within a long prompt
                text.seen = 0
                piece = text.writer.take(row)
                if piece is not None:
                    text.transcript.add(piece)
                if not text.writer.pending:
                    finished[n] = text.transcript.finish(text.writer.finish_reason)
    return [finished[n] for n in range(len(texts))]


def _batches(texts: Sequence[_Text], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Deal texts into batches of at most ``PREFILL_TOKENS`` tokens, which bounds the buffers."""
    batch: list[int] = []
    size = 0
    for n in numbers:
        count = len(texts[n].next_tokens())
        if batch and size + count > PREFILL_TOKENS:
            yield batch
            batch, size = [], 0
        batch.append(n)
        size += count
    if batch:
        yield batch
