"""`apr tokenize`: show how a text becomes tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from inference.cli.common import (
    JsonOption,
    ModelArgument,
    PromptFileOption,
    model_path,
    print_json,
    prompt_text,
)

EXAMPLES = """
apr tokenize qwen2.5-coder-0.5b-instruct "What is 2+2?"
apr tokenize model.gguf "<|im_start|>user" --no-special --ids
apr tokenize model.gguf "日本" --json
"""


def app_command(
    model: ModelArgument,
    text: Annotated[str | None, typer.Argument(help="The text to encode.")] = None,
    prompt_file: PromptFileOption = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print the ids alone, in one line.")] = False,
    no_special: Annotated[
        bool,
        typer.Option("--no-special", help="Add no BOS or EOS, and read control tokens as text."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Encode a text with the model's own vocabulary, without loading its weights.

    Each line is an id, and its text in quotes or, where it is no whole character, its bytes.
    """
    from inference.formats import open_model
    from inference.formats.tokenizer import tokenizer_spec
    from inference.text.tokenizer import Tokenizer

    text = prompt_text(text, prompt_file)
    path = model_path(model)
    with open_model(path) as file:
        tokenizer = Tokenizer.from_spec(tokenizer_spec(file))
    tokens = tokenizer.encode(text, add_special=not no_special, parse_special=not no_special)
    pieces = [tokenizer.token_bytes(token) for token in tokens]
    if json:
        print_json(
            {
                "model": str(path),
                "text": text,
                "ids": tokens,
                "tokens": [
                    {"id": token, "text": _text(piece), "bytes": piece.hex()}
                    for token, piece in zip(tokens, pieces, strict=True)
                ],
            }
        )
    elif ids:
        typer.echo(" ".join(map(str, tokens)))
    else:
        for token, piece in zip(tokens, pieces, strict=True):
            shown = _text(piece)
            typer.echo(f"{token:>7}  {piece.hex(' ') if shown is None else repr(shown)}")


def _text(piece: bytes) -> str | None:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return None
