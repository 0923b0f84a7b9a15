"""Digests of source files, for what Numba's cache does not look at.

A compiled function's entry in that cache is renewed when the function's own file changes, but not
when a function that it calls does, or a constant that it reads, in another file, nor when code does
that generated part of it. So a digest of those files is part of the entry's key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_KERNELS = re.escape(__name__.rpartition(".cpu.")[0])
"""Where all is that compiled code calls; other packages import half of the engine."""
_IMPORT = re.compile(
    rf"^[ \t]*(?:from ({_KERNELS}[\w.]*) import (\([^)]*\)|[^\n]*)|import ({_KERNELS}[\w.]*))",
    re.MULTILINE,
)


def source_digest(*paths: Path) -> int:
    """Return 56 bits that change with the content of the files."""
    digest = sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


@cache
def closure_digest(path: Path) -> int:
    """Return 56 bits that change with a file, or with one of the kernels' that it builds on.

    Those are all that it imports, also inside of functions, and what these import in turn.
    """
    return source_digest(*closure(path))


def closure(path: Path) -> list[Path]:
    """Return a file and the kernels' files that it builds on, in a stable order."""
    found, waiting = set[Path](), [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(file)
    return sorted(found)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    return tuple(file for name in _names(path.read_text("utf-8")) if (file := _file(name)))


def _names(text: str) -> Iterator[str]:
    for module, names, plain in _IMPORT.findall(text):
        yield module or plain
        for name in re.findall(r"\w+", re.sub(r"#[^\n]*|\bas\s+\w+", "", names)):
            yield f"{module}.{name}"  # which may be a module as well


def _file(module: str) -> Path | None:
    place = _ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)
