"""`apr check`: is a model sound, and does the engine answer with it?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from inference.cli.common import (
    ExitCode,
    JsonOption,
    ModelArgument,
    model_path,
    print_json,
    styled,
)
from inference.errors import ModelFileError

EXAMPLES = """
apr check model.gguf
apr check qwen2.5-coder-0.5b-instruct --json
"""

_COLOURS = {"OK": "green", "FAILED": "red", "SKIPPED": "yellow"}


def app_command(model: ModelArgument, json: JsonOption = False) -> int:
    """Judge a model in ten stages, from its file to the tokens that it draws.

    file, tensors, tokenizer, embedding, rope, attention, layers, logits, numerics (both paths
    agree), decoding (token by token equals one batch). The first that fails ends the work. The
    exit code is 0 when every stage is OK and 1 otherwise.
    """
    from inference.engine.check import check_model

    path = model_path(model)
    results = []
    for result in check_model(path):
        results.append(result)
        if not json:
            verdict = styled(f"{result.verdict:7}", _COLOURS[result.verdict])
            typer.echo(f"{verdict} {result.stage}: {result.detail} ({result.seconds:.2f} s)")
    sound = all(result.verdict == "OK" for result in results)
    if json:
        print_json(
            {
                "model": str(path),
                "architecture": _architecture(path),
                "ok": sound,
                "stages": [asdict(r) for r in results],
            }
        )
    return ExitCode.OK if sound else ExitCode.FAILED


def _architecture(path: Path) -> str | None:
    from inference.formats import open_model
    from inference.formats.config import architecture_of

    try:
        with open_model(path) as file:
            return architecture_of(file)
    except ModelFileError:
        return None
