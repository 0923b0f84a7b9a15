"""`apr import`: a GGUF file or a Hugging Face directory becomes one APR file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference.cli.common import JsonOption, ModelArgument, model_path
from inference.cli.writing import write_model

EXAMPLES = """
apr import model.gguf -o model.apr
apr import path/to/hf-directory --json
"""


def app_command(
    model: ModelArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; NAME.apr here by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a GGUF file or a Hugging Face directory to APR, byte for byte.

    Every tensor keeps its bytes; tokenizer and metadata are embedded. The new file is verified
    before it takes the place of an old one.
    """
    from inference.surgery.importing import import_model

    source = model_path(model)
    target = output or Path(f"{source.resolve().name.removesuffix('.gguf')}.apr")
    write_model(
        source, lambda advance: import_model(source, target, progress=advance), as_json=as_json
    )
