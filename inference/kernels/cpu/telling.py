"""One line for the user about what goes on below a call: on standard error, if anybody reads it."""

from __future__ import annotations

import contextlib
import sys


def tell(message: str) -> None:
    """Write a line to standard error; nothing where it is closed, full or broken."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(f"inference: {message}", file=sys.stderr, flush=True)
