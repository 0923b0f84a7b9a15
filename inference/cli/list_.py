"""`apr list`: the registry's models, and which are here."""

from __future__ import annotations

from typing import Annotated

import typer

from inference.cli.common import JsonOption
from inference.cli.pull import list_models

EXAMPLES = """
apr list
apr list --here --json
"""


def app_command(
    here: Annotated[bool, typer.Option("--here", help="Only the models on this machine.")] = False,
    json: JsonOption = False,
) -> None:
    """List the models of the registry: id, size in bytes, description, and the path if pulled."""
    list_models(json, here=here)
