"""`apr rm`: delete pulled models."""

from __future__ import annotations

from typing import Annotated

import typer

from inference.cli.common import JsonOption
from inference.cli.pull import remove_models

EXAMPLES = """
apr rm smollm2-135m-instruct
apr rm --all --json
"""


def app_command(
    model_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Models of the registry.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete every model.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete models from this machine's cache, and what is left of interrupted pulls."""
    from inference.hub import registry

    if everything == bool(model_ids):
        raise typer.BadParameter("name models, or pass --all")
    names = list(registry.MODELS) if everything else model_ids or []
    remove_models([registry.entry_of(name) for name in names], json)
