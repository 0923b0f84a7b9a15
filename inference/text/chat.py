"""Chat templates: a conversation becomes the prompt that the model was trained on.

A template is a program from a file that somebody else wrote. It runs in Jinja's immutable sandbox,
in a process of its own with limits on time, memory and output (`template_process.py`), so that it
can neither reach this process nor hang it, whichever thread asks.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import TokenizerError

if TYPE_CHECKING:
    from inference.text.tokenizer import Tokenizer

Message = Mapping[str, Any]

_PROCESS = Path(__file__).with_name("template_process.py")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a template may use: seconds, bytes of memory, characters of output."""

    seconds: float = 5.0
    memory: int = 1 << 29
    output: int = 1 << 22


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A Jinja chat template and the special tokens that it may name."""

    source: str = field(repr=False)
    bos_token: str | None = None
    eos_token: str | None = None
    special_texts: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> ChatTemplate:
        """Return the template that came with a tokenizer.

        ``TokenizerError`` when the model file carries none.
        """
        if tokenizer.chat_template is None:
            raise TokenizerError("the model file carries no chat template; pass plain text")
        return cls(
            tokenizer.chat_template,
            bos_token=tokenizer.token_text(tokenizer.bos_id),
            eos_token=tokenizer.token_text(tokenizer.eos_id),
            special_texts=tokenizer.special_texts,
        )

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        now: datetime | None = None,
        **variables: Any,
    ) -> str:
        """Return the prompt of a conversation.

        ``messages`` are JSON objects with ``role`` and ``content``; ``now`` is what a template that
        prints the date sees; other keywords reach the template under their own names.

        Raises:
            TokenizerError: the template is broken, refuses the conversation, or exceeds its limits.
        """
        tokens = {
            **self.special_texts,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
        }
        request = {
            "template": self.source,
            "context": {
                **{name: text for name, text in tokens.items() if text is not None},
                **variables,
                "messages": list(messages),
                "tools": None if tools is None else list(tools),
                "add_generation_prompt": add_generation_prompt,
            },
            "now": (now or datetime.now()).isoformat(),
            "memory": self.limits.memory,
            "output": self.limits.output,
            "cpu_seconds": int(self.limits.seconds) + 1,
            "import_from": [_folder_of("jinja2"), _folder_of("markupsafe")],
        }
        try:
            document = json.dumps(request)
        except (TypeError, ValueError, RecursionError) as error:
            raise TokenizerError(f"the conversation is not JSON: {error}") from error
        return self._run(document)

    def encode(self, tokenizer: Tokenizer, rendered: str, *, limit: int | None = None) -> list[int]:
        """Return the ids of a rendered prompt, with one BOS where template and file both add it.

        ``limit`` as for `Tokenizer.encode`.
        """
        begins = self.bos_token is not None and rendered.startswith(self.bos_token)
        return tokenizer.encode(rendered, add_special=not begins, limit=limit)

    def _run(self, document: str) -> str:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", str(_PROCESS)],
                input=document.encode(),
                capture_output=True,
                timeout=self.limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TokenizerError(
                f"the chat template ran for more than {self.limits.seconds:g} s and was stopped"
            ) from None
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise TokenizerError(
                f"the chat template's process ended with {done.returncode}: {last[:200]}"
            )
        answer: dict[str, str] = json.loads(done.stdout)
        if "error" in answer:
            raise TokenizerError(f"the chat template {answer['error']}")
        return answer["text"]


def _folder_of(package: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise TokenizerError(f"chat templates need the package {package}; install it")
    return str(Path(spec.origin).parent.parent)
