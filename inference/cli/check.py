"""`apr check`: is a model sound, and does the engine answer with it?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from inference.cli.common import ExitCode, JsonOption, ModelArgument, model_path, print_json

EXAMPLES = """
apr check model.gguf
apr check qwen2.5-coder-0.5b-instruct --json
"""

_COLOURS = {"OK": "green", "FAILED": "red", "SKIPPED": "yellow"}


def app_command(model: ModelArgument, json: JsonOption = False) -> int:
    """Open a model, look at every tensor, tokenize, run both numeric paths and compare them.

    The exit code is 0 when every stage is OK and 1 otherwise.
    """
    from inference.model.check import check_model

    path = model_path(model)
    results = []
    for result in check_model(path):
        results.append(result)
        if not json:
            verdict = typer.style(f"{result.verdict:7}", fg=_COLOURS[result.verdict])
            typer.echo(f"{verdict} {result.stage}: {result.detail} ({result.seconds:.2f} s)")
    sound = all(result.verdict == "OK" for result in results)
    if json:
        print_json({"model": str(path), "ok": sound, "stages": [asdict(r) for r in results]})
    return ExitCode.OK if sound else ExitCode.FAILED
