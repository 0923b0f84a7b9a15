"""What every command shares: exit codes, option types, errors in one line, JSON output."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from inference.cli.streams import delivered, say, settle
from inference.errors import (
    ContextOverflowError,
    DeviceUnavailableError,
    DownloadError,
    EngineError,
    InputError,
    ModelFileError,
    OutOfMemoryError,
    TokenizerError,
    UnsupportedArchitectureError,
    UnsupportedTypeError,
)
from inference.memory import needing, shortage_in


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
    "5 any other error of the engine, too little memory among them; 130 interrupted."
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
        OutOfMemoryError: the text does not fit.
        OSError: the file cannot be read.
    """
    if (argument is None) == (file is None):
        raise InputError("give a text, or a file with --prompt-file, and not both")
    if argument is not None:
        data, source = os.fsencode(argument), "the text"
    elif str(file) == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed, and --prompt-file - reads from it")
        data, source = b"", "standard input"
        with needing("to read a text from standard input"):
            data = sys.stdin.buffer.read()
    else:
        assert file is not None
        source = str(file)
        with needing(f"to read the text in {file}"):
            data = file.read_bytes()
    try:
        with needing(f"for {source}, {len(data):,} bytes"):
            return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: byte {error.start:#x} is not UTF-8") from None


def styled(text: str, colour: str | None) -> str:
    """Return a text in a colour, or as it is where the user wants none (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=colour)


def print_json(document: Any) -> None:
    """Write one JSON document to standard output, as strict JSON (no NaN)."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # JSON has escapes of its own for what a stream cannot carry
        text = json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False)
    typer.echo(text)


def run_guarded(command: Callable[[], Any], *, json_errors: bool = False) -> int:
    """Run a command; report a deliberate error in one line and return the exit code.

    With ``json_errors`` the error is also the JSON document on standard output.
    """
    settle()
    code, message = _outcome(lambda: _checked(command))
    if json_errors and message is not None:
        with contextlib.suppress(OSError):
            print_json({"error": {"message": message, "exit_code": int(code)}})
    if not delivered() and code == ExitCode.OK:
        say("apr: standard output cannot be written")
        return ExitCode.BAD_FILE
    return int(code)


def _checked(command: Callable[[], Any]) -> Any:
    """Run a command; whatever came of it, a file that changed meanwhile is what there is to say."""
    try:
        result = command()
    except (KeyboardInterrupt, typer.Abort):
        raise
    except Exception:
        _check_faults()
        raise
    _check_faults()
    return result


def _check_faults() -> None:
    faults = sys.modules.get("inference.formats.faults")  # not where nothing was opened
    if faults is not None:
        faults.check_faults()


def _outcome(command: Callable[[], Any]) -> tuple[int, str | None]:
    """Run a command; return its exit code, and the message where that is for the user to read."""
    try:
        result = command()
    except typer.Abort as error:
        if isinstance(error.__cause__ or error.__context__, EOFError):
            return _failure("the input ended too early", ExitCode.ENGINE)
        return ExitCode.INTERRUPTED, None
    except KeyboardInterrupt:
        say("apr: interrupted")
        return ExitCode.INTERRUPTED, None
    except BrokenPipeError:  # the reader went away: `apr inspect … | head`
        return ExitCode.FAILED, None
    except typer.TyperException as error:
        message = error.format_message()
        show = getattr(error, "show", None)
        if show is None:
            return _failure(message, error.exit_code)
        with contextlib.suppress(OSError):
            show()
        return error.exit_code, message
    except (EngineError, OSError, MemoryError, ImportError) as error:
        shortage = shortage_in(error)
        if shortage is not None and not isinstance(error, OutOfMemoryError):
            return _failure(f"not enough memory: {shortage}", ExitCode.ENGINE)
        if not isinstance(error, EngineError | OSError):
            raise
        message = str(error)
        if isinstance(error, OSError) and error.filename is None:  # what we open has a name
            message = f"a standard stream cannot be used: {error.strerror or error}"
        code = next(code for kind, code in _CODE_OF if isinstance(error, kind))
        return _failure(message, code)
    return (result if isinstance(result, int) else ExitCode.OK), None


def _failure(message: str, code: int) -> tuple[int, str]:
    line = " ".join(message.split())
    say(f"apr: {line}")
    return code, line
