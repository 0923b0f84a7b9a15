"""The command line `apr`: one module per command, imported when it is called.

A command module exposes ``app_command`` (a function annotated for Typer, returning its exit code or
None) and may expose ``EXAMPLES`` (shell lines shown at the end of its help).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from inference.cli.common import EXIT_CODES, run_guarded
from inference.memory import room_for_blas

# command: (module, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "pull": ("pull", "Fetch a model from the registry, verify it and keep it."),
    "list": ("list_", "List the models of the registry and those that are here."),
    "rm": ("rm", "Delete models from this machine."),
    "run": ("run", "Generate text with a model."),
    "chat": ("chat", "Talk with a model."),
    "bench": ("bench", "Measure how fast a model reads and writes."),
    "tokenize": ("tokenize", "Show how a text becomes tokens."),
    "import": ("import_", "Convert a model file to APR."),
    "export": ("export", "Write a model as GGUF, APR or a Hugging Face directory."),
    "convert": ("convert", "Write a model with other tensor types, in any format."),
    "inspect": ("inspect", "Show what a model file contains."),
    "tensors": ("tensors", "List the tensors of a model file, with statistics on request."),
    "trace": ("trace", "Record the forward pass stage by stage."),
    "diff": ("diff", "Compare two traces."),
    "check": ("check", "Check that a model file is sound and the model answers."),
}

_LIGHT = {"pull", "list", "rm"}
"""The commands that need no NumPy."""

_EPILOG = "\b\nExamples:\n  apr pull qwen2.5-coder-0.5b-instruct\n  apr check model.gguf --json\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the console script `apr`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(_application())
    return run_guarded(
        lambda: command.main(given, prog_name="apr", standalone_mode=False),
        json_errors="--json" in given,
    )


class _LazyGroup(TyperGroup):
    """Lists commands from the table; imports a command's module when it is about to run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = _load(name)
        return name, command, rest


def _load(name: str) -> Any:
    if name not in _LIGHT:
        room_for_blas("numpy", f"for apr {name}")
    module = importlib.import_module(f"inference.cli.{COMMANDS[name][0]}")
    examples = getattr(module, "EXAMPLES", "").strip("\n")
    lines = "".join(f"  {line.strip()}\n" for line in examples.splitlines())
    application = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = f"\b\nExamples:\n{lines}\n\n{EXIT_CODES}" if lines else EXIT_CODES
    application.command(name, epilog=epilog)(module.app_command)
    return typer.main.get_command(application)


def _application() -> typer.Typer:
    application = typer.Typer(
        cls=_LazyGroup,
        rich_markup_mode=None,
        no_args_is_help=True,
        epilog=f"{_EPILOG}\n\n{EXIT_CODES}",
        help="Inference engine for GGUF, APR and safetensors models.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(_options)
    for name, (_, summary) in COMMANDS.items():
        application.command(name, help=summary)(_placeholder)
    return application


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"apr {version('pytest-contracts')}")
        except PackageNotFoundError:
            typer.echo("apr of a source tree that is not installed")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and stop.", callback=_show_version, is_eager=True
    ),
) -> None:
    pass


def _placeholder() -> None:
    raise AssertionError("resolve_command puts the real command in this one's place")
