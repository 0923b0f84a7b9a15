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
_KERNELS = Path(__file__).parents[1]
"""Where is what compiled code calls, but for what lies beside it."""
_MODULE = rf"{__name__.partition('.')[0]}(?:\.[\w.]+)?"
_IMPORT = re.compile(
    rf"^[ \t]*(?:from ({_MODULE}) import (\([^)]*\)|[^\n]*)|import ({_MODULE}))", re.MULTILINE
)


@cache
def closure_digest(path: Path) -> int:
    """Return 56 bits that change with a compiled function's file, or with one it builds on."""
    digest = sha256()
    for file in closure(path):
        digest.update(file.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def closure(path: Path) -> list[Path]:
    """Return a file and those that it builds on, in a stable order.

    Those are all of the kernels, and all in its own folder, that it imports, also inside of
    functions, and what these import in turn. Others would be half of the engine.
    """
    found, waiting = set[Path](), [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += (
                other
                for other in _imported(file)
                if other.is_relative_to(_KERNELS) or other.parent == path.parent
            )
    return sorted(found)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    return tuple(_files(path.read_text("utf-8")))


def _files(text: str) -> Iterator[Path]:
    """Yield the files of the modules that are imported, and of those that names come from."""
    for module, names, plain in _IMPORT.findall(text):
        named = re.findall(r"\w+", re.sub(r"#[^\n]*|\bas\s+\w+", "", names))
        files = [_file(f"{module}.{name}") for name in named]  # those that are modules themselves
        if None in files or plain:
            files.append(_file(module or plain))
        yield from filter(None, files)


def _file(module: str) -> Path | None:
    place = _ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)
