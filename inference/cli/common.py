"""What every command shares: exit codes, option types, errors in one line, JSON output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from inference.errors import (
    ContextOverflowError,
    DeviceUnavailableError,
    DownloadError,
    EngineError,
    InputError,
    ModelFileError,
    TokenizerError,
    UnsupportedArchitectureError,
    UnsupportedTypeError,
)


class ExitCode(IntEnum):
    """What `apr` tells the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BAD_FILE = 3
    UNAVAILABLE = 4
    ENGINE = 5
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done; 1 a check failed or a difference was found; 2 wrong usage; 3 a file is "
    "unreadable, damaged or of a kind that is not supported; 4 a model or device is not available; "
    "5 any other error of the engine; 130 interrupted."
)

_CODE_OF: tuple[tuple[type[Exception], ExitCode], ...] = (
    (ModelFileError, ExitCode.BAD_FILE),
    (TokenizerError, ExitCode.BAD_FILE),
    (UnsupportedTypeError, ExitCode.BAD_FILE),
    (UnsupportedArchitectureError, ExitCode.BAD_FILE),
    (DownloadError, ExitCode.UNAVAILABLE),
    (DeviceUnavailableError, ExitCode.UNAVAILABLE),
    (ContextOverflowError, ExitCode.USAGE),
    (InputError, ExitCode.USAGE),
    (EngineError, ExitCode.ENGINE),
    (OSError, ExitCode.BAD_FILE),
)

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model file or directory, or a registry id.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PromptFileOption = Annotated[
    Path | None,
    typer.Option("--prompt-file", metavar="FILE", help="Read the text from here; -: from stdin."),
]
BackendOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--backend", help="Where to compute.")
]
NumericsOption = Annotated[
    Literal["fused", "f32"],
    typer.Option("--numerics", help="Compute on packed weights (fused) or expanded ones."),
]


def model_path(model: str) -> Path:
    """Return the path of a model named on the command line.

    A path that exists wins; otherwise the name is looked up among the pulled models.

    Raises:
        DownloadError: a registry id whose model has not been pulled.
        ModelFileError: neither a path nor an id.
    """
    path = Path(model)
    if path.exists():
        return path
    from inference.hub.cache import cached
    from inference.hub.registry import MODELS

    if model not in MODELS:
        raise ModelFileError(
            path, f"no such file, nor a model of the registry ({', '.join(MODELS)})"
        )
    found = cached(model)
    if found is None:
        raise DownloadError(f"{model} is not on this machine; run: apr pull {model}")
    return found


def prompt_text(argument: str | None, file: Path | None) -> str:
    """Return the text given as an argument, or that of a file; ``-`` is standard input.

    Raises:
        InputError: not exactly one of both is given, or the text is not UTF-8; says at which byte.
        OSError: the file cannot be read.
    """
    if (argument is None) == (file is None):
        raise InputError("give a text, or a file with --prompt-file, and not both")
    if argument is not None:
        data, source = os.fsencode(argument), "the text"
    elif str(file) == "-":
        data, source = sys.stdin.buffer.read(), "standard input"
    else:
        assert file is not None
        data, source = file.read_bytes(), str(file)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: byte {error.start:#x} is not UTF-8") from None


def styled(text: str, colour: str | None) -> str:
    """Return a text in a colour, or as it is where the user wants none (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=colour)


def print_json(document: Any) -> None:
    """Write one JSON document to standard output, as strict JSON (no NaN)."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def run_guarded(command: Callable[[], Any], *, json_errors: bool = False) -> int:
    """Run a command; report a deliberate error in one line and return the exit code.

    With ``json_errors`` the error is also the JSON document on standard output.
    """
    try:
        result = command()
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        _complain("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`apr inspect … | head`); Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except typer.TyperException as error:
        message, code = error.format_message(), error.exit_code
        show = getattr(error, "show", None)
        show() if show is not None else _complain(message)
    except (EngineError, OSError) as error:
        message = " ".join(str(error).split())
        code = next(code for kind, code in _CODE_OF if isinstance(error, kind))
        _complain(message)
    else:
        return result if isinstance(result, int) else ExitCode.OK
    if json_errors:
        print_json({"error": {"message": message, "exit_code": int(code)}})
    return int(code)


def _complain(message: str) -> None:
    typer.echo(f"apr: {message}", err=True)
