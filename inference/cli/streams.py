"""The standard streams as a command may find them: closed, full, or of a narrow encoding."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

import typer


def settle() -> None:
    """Make the standard streams safe to use, whatever the command was started with.

    A descriptor that was closed leads to the null device: the next file that is opened would get
    its number, and with it whatever a library prints. What a stream cannot encode is escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def say(message: str, *, nl: bool = True) -> None:
    """Write to standard error; a full or broken one is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(message, nl=nl, err=True)


def delivered() -> bool:
    """Write out what the streams still hold; tell whether standard output has taken all of it.

    A stream that takes nothing is led to the null device, or Python would complain of it again at
    its end, with an exit code of its own.
    """
    taken = {name: _flushed(name) for name in ("stderr", "stdout")}
    return taken["stdout"]


def _flushed(name: str) -> bool:
    stream = getattr(sys, name)
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()
        return False
    return True
