"""A conversation with a model: turns in, answers out, one session that never reads a turn twice."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from inference.decode.options import GenerationOptions
from inference.errors import SessionBusyError
from inference.text.chat import ChatTemplate

if TYPE_CHECKING:
    from inference.engine.model import Model


class Conversation:
    """The turns so far, as chat templates take them (``messages``), and the model's state."""

    def __init__(self, model: Model, *, system: str | None = None) -> None:
        """Begin; ``TokenizerError`` when the model file carries no chat template."""
        self._model = model
        self._template = ChatTemplate.of(model.tokenizer)
        self._session = model.session()
        self.messages: list[dict[str, str]] = []
        self.begin(system)

    def begin(self, system: str | None = None) -> None:
        """Forget every turn; start over with these instructions, or none."""
        self.messages = [] if system is None else [{"role": "system", "content": system}]

    def clear(self) -> None:
        """Forget every turn; keep the instructions."""
        self.messages = [turn for turn in self.messages[:1] if turn["role"] == "system"]

    def say(self, text: str, options: GenerationOptions) -> Generator[str, None, None]:
        """Yield the answer to a turn of the user as it comes.

        The turn and what was taken of the answer join the conversation when the iterator ends or
        is closed. After an error neither does.

        Raises:
            ContextOverflowError: the conversation is longer than the context.
            TokenizerError: the template refuses the conversation.
            SessionBusyError: another turn runs, or has ended since this one began.
        """
        before = self.messages
        turns = [*before, {"role": "user", "content": text}]
        ids = self._template.encode(
            self._model.tokenizer,
            self._template.render(turns),
            limit=self._model.config.context_length,
        )
        answer: list[str] = []
        pieces = self._model.continuation(ids, options, session=self._session)
        try:
            for piece in pieces:
                answer.append(piece.text)
                yield piece.text
        except (GeneratorExit, KeyboardInterrupt):
            if self.messages is before:
                self._keep(turns, answer)
            raise
        if self.messages is not before:
            raise SessionBusyError("another turn has ended since this one began")
        self._keep(turns, answer)

    def _keep(self, turns: list[dict[str, str]], answer: list[str]) -> None:
        self.messages = [*turns, {"role": "assistant", "content": "".join(answer)}]
