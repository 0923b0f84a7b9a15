"""`apr chat`: talk with a model."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference.cli.common import (
    BackendOption,
    JsonOption,
    ModelArgument,
    NumericsOption,
    model_path,
    print_json,
)
from inference.cli.sampling_options import (
    MaxTokensOption,
    MinPOption,
    SeedOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
)
from inference.cli.streams import say
from inference.errors import EngineError
from inference.staging import staged_file

if TYPE_CHECKING:
    from inference.decode.options import GenerationOptions
    from inference.engine.conversation import Conversation

EXAMPLES = """
apr chat qwen2.5-coder-0.5b-instruct
apr chat smollm2-135m-instruct --system "Answer in one sentence." --temperature 0.7 --top-p 0.9
echo "What is 2+2?" | apr chat qwen2.5-coder-0.5b-instruct
"""

HELP = """/system TEXT  start over with these instructions
/clear        start over with the same instructions
/save FILE    write the conversation as JSON
/help         show this
/exit         leave; so does the end of the input"""


def app_command(
    model: ModelArgument,
    system: Annotated[str | None, typer.Option(help="Instructions that come first.")] = None,
    max_tokens: MaxTokensOption = 512,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    min_p: MinPOption = 0.0,
    seed: SeedOption = 0,
    numerics: NumericsOption = "fused",
    backend: BackendOption = "auto",
    json: JsonOption = False,
) -> None:
    """Talk with a model that carries a chat template, one line at a time.

    Ctrl-C ends an answer, and leaves when there is none. /help lists the commands, and the arrow
    keys bring back what was typed. What the model has read once is not read again. With --json the
    conversation is printed at its end, and nothing else.
    """
    import inference
    from inference.decode.options import GenerationOptions
    from inference.engine.conversation import Conversation

    options = GenerationOptions(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        seed=seed,
        overflow="truncate",
    )
    with inference.load(model_path(model), backend=backend, numerics=numerics) as lm:
        conversation = Conversation(lm, system=system)
        _talk(conversation, options, f"{model} · /help lists the commands", silent=json)
        if json:
            print_json({"model": model, "messages": conversation.messages})


def _talk(
    conversation: Conversation, options: GenerationOptions, greeting: str, *, silent: bool
) -> None:
    ask = _prompt(greeting)
    while (line := ask()) is not None:
        text = line.strip()
        if text == "/exit":
            return
        try:
            if text.startswith("/"):
                _command(conversation, text)
            elif text:
                _answer(conversation, text, options, silent=silent)
        except (EngineError, MemoryError) as error:
            # A turn that failed is no reason to lose the conversation.
            say(f"apr: {error or 'not enough memory'}")


def _prompt(greeting: str) -> Callable[[], str | None]:
    """Return a function that reads the next line; None at the end of the input."""
    if sys.stdin is None:
        return lambda: None
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):
            # What is not UTF-8 becomes what no tokenizer accepts: a turn fails, not the program.
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        return lambda: sys.stdin.readline() or None
    from rich.console import Console

    with suppress(ImportError):  # gives the prompt a history and editing, where Python has it
        import readline  # noqa: F401
    console = Console()
    console.print(greeting, style="dim", highlight=False, markup=False)

    # Bytes between 1 and 2 take no room: the line editor must know where the prompt ends.
    prompt = "\1\x1b[1;32m\2> \1\x1b[0m\2" if console.color_system else "> "

    def read() -> str | None:
        try:
            return input(prompt)
        except EOFError:
            return None

    return read


def _answer(
    conversation: Conversation, text: str, options: GenerationOptions, *, silent: bool = False
) -> None:
    with closing(conversation.say(text, options)) as pieces:
        try:
            for piece in pieces:
                if not silent:
                    typer.echo(piece, nl=False)
        except KeyboardInterrupt:
            say(" [interrupted]", nl=False)
    if not silent:
        typer.echo()


def _command(conversation: Conversation, text: str) -> None:
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    if name == "/system":
        conversation.begin(rest or None)
    elif name == "/clear":
        conversation.clear()
    elif name == "/save" and rest:
        _save(conversation, Path(os.path.expanduser(rest)))
    elif name == "/help":
        typer.echo(HELP)
    else:
        say(f"apr: no command {text[:80]!r}; these there are:\n{HELP}")


def _save(conversation: Conversation, path: Path) -> None:
    text = dumps({"messages": conversation.messages}, indent=2, ensure_ascii=False)
    with staged_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    say(f"{path}: {len(conversation.messages)} messages")
