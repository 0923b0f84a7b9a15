"""Which of a project's files a judgement has loaded: its modules, and what Python opened.

What forks off the judging process, such as the worker of a proof, is heard too; a program that it
starts is not, nor is a file that a C library opens by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_contracts.ledger import opened, sources

_EVENTS = {"open", "ctypes.dlopen"}
_DIGESTING = {opened.__file__, sources.__file__}
"""What reads files for the ledger to name them: no verdict rests on that."""
_INSTALLED = {"site-packages", "dist-packages"}


def hear(notes: Path) -> None:  # pragma: no cover - runs in the forked process
    """Write the name of each file that is opened to be read to ``notes``, one a line.

    From now to the end of the process: Python lets nobody take such a hook back. A file, and not a
    list in memory, is what forks can add theirs to.
    """
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    known: set[str] = set()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        try:
            if event == "open" and (args[2] & os.O_ACCMODE) == os.O_WRONLY:
                return
            path = args[0]
            if isinstance(path, str | bytes | os.PathLike):
                name = os.path.abspath(os.fsdecode(path))
                if name not in known and "\n" not in name and not _digesting(sys._getframe(1)):
                    known.add(name)
                    os.write(file, os.fsencode(name) + b"\n")
        except Exception:  # an error here would be the opening code's own
            return

    sys.addaudithook(hook)


def _digesting(frame: FrameType | None) -> bool:  # pragma: no cover - runs in the forked process
    while frame is not None and frame.f_code.co_filename not in _DIGESTING:
        frame = frame.f_back
    return frame is not None


def heard(notes: Path) -> set[str]:  # pragma: no cover - runs in the forked process
    """Return the files of all modules that are loaded, and those in ``notes``."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    modules = {os.path.abspath(file) for file in files if isinstance(file, str)}
    return modules | set(os.fsdecode(notes.read_bytes()).splitlines())


def names(paths: Iterable[str], root: Path, copies: Mapping[str, str]) -> list[str]:
    """Return those of the files that are the project's, as POSIX writes them from its root, sorted.

    ``copies`` maps folders of copies to those that they are copies of. Folders with a dot, which
    tools keep for themselves, and what is installed below the root are not the project's.
    """
    home = os.path.realpath(root)
    originals = [(f"{os.path.realpath(copy)}{os.sep}", of) for copy, of in copies.items()]
    return sorted(set(_names(paths, home, originals)))


def _names(paths: Iterable[str], home: str, originals: list[tuple[str, str]]) -> Iterator[str]:
    for path in paths:
        source = _source(os.path.realpath(path), originals)
        if source is None or not os.path.isfile(source):
            continue
        parts = os.path.relpath(source, home).split(os.sep)
        if not _INSTALLED.intersection(parts) and not any(p.startswith(".") for p in parts):
            yield "/".join(parts)


def _source(path: str, originals: list[tuple[str, str]]) -> str | None:
    """Return what a path stands for: the original of a copy, the source of bytecode."""
    for copy, of in originals:
        if path.startswith(copy):
            path = os.path.join(os.path.realpath(of), path[len(copy) :])
    folder, name = os.path.split(path)
    if os.path.basename(folder) != "__pycache__":
        return path
    if not name.endswith(".pyc"):  # what Numba has compiled stands for sources that are read too
        return None
    return os.path.join(os.path.dirname(folder), f"{name.partition('.')[0]}.py")
