"""Which files of the project this process has opened, by which code, and what was in them then.

Python tells of every file that is opened through it (PEP 578): tables, weights, memory maps,
compiled extensions and modules that are imported under a computed name. What a C library opens by
itself it does not tell.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_EVENTS = frozenset({"open", "import", "ctypes.dlopen"})
_ELSEWHERE = {"site-packages", "dist-packages", ".contracts", ".hypothesis", ".pytest_cache"}
_JUDGE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_hearing: list[Opened] = []
_hooked = False


class Opened:
    """Files below a root, known by their path from there as POSIX writes it.

    ``digests`` are the SHA-256 of each as it was opened first, None where it was another when it
    was opened again; ``openers`` are the source files whose code opened it. What this process
    itself has written is no input.
    """

    def __init__(self, root: Path) -> None:
        self.digests: dict[str, str | None] = {}
        self.openers: dict[str, set[str]] = {}
        self._roots = tuple({f"{root}{os.sep}": 0, f"{root.resolve()}{os.sep}": 0})
        self._stamps: dict[str, tuple[int, int]] = {}
        self._written: set[str] = set()
        self._keys: dict[str, str | None] = {}
        self._reading: int | None = None

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Hear of what is opened from now on; what has been imported is as it is now."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Begin to hear."""
        global _hooked
        for module in list(sys.modules.values()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if not isinstance(file, str) or _plainly_outside(file, self._roots):
                continue
            if (key := self.key(file)) is not None:
                self._freeze(key, file)
        _hearing.append(self)
        if not _hooked:
            _hooked = True
            sys.addaudithook(_hook)  # it stays as long as the process, so there is one

    def stop(self) -> None:
        """Hear no more."""
        if self in _hearing:
            _hearing.remove(self)

    def key(self, path: str) -> str | None:
        """Return a file's key, None for one that is not the project's."""
        if not os.path.isabs(path):
            path = os.path.join(os.getcwd(), path)
        if path not in self._keys:
            self._keys[path] = self._named(os.path.normpath(path))
        return self._keys[path]

    def _named(self, path: str) -> str | None:
        root = next((root for root in self._roots if path.startswith(root)), None)
        if root is None or path.startswith(_JUDGE):
            return None
        parts = path[len(root) :].split(os.sep)
        if _ELSEWHERE.intersection(parts):
            return None
        if "__pycache__" in parts:  # bytecode stands for its source; compilers keep theirs there
            name = parts[-1].partition(".")[0]
            return "/".join([*parts[:-2], f"{name}.py"]) if parts[-1].endswith(".pyc") else None
        return "/".join(parts)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Note one event."""
        if self._reading == threading.get_ident():
            return
        path, flags = (args[1], 0) if event == "import" else (args[0], 0)
        if event == "open":
            flags = args[2]
        if path is None or isinstance(path, int):
            return
        text = os.fsdecode(path)
        key = self.key(text)
        if key is None or key in self._written:
            return
        if (flags & os.O_ACCMODE) == os.O_WRONLY or flags & os.O_TRUNC:
            if key not in self.digests:
                self._written.add(key)
            return
        opener = self._opener(sys._getframe(2))
        if opener is None and not key.endswith(".py"):
            return
        source = text if not text.endswith(".pyc") else os.path.join(self._roots[0], key)
        self._freeze(key, source)
        if opener is not None and opener != key:
            self.openers.setdefault(key, set()).add(opener)

    def _opener(self, frame: FrameType | None) -> str | None:
        """Return the project's source file whose code is the closest to the opening."""
        while frame is not None:
            name = frame.f_code.co_filename
            if not name.startswith("<") and (key := self.key(name)) is not None:
                return key
            frame = frame.f_back
        return None

    def _freeze(self, key: str, path: str) -> None:
        self._reading = threading.get_ident()
        try:
            stat = os.stat(path)
            stamp = (stat.st_mtime_ns, stat.st_size)
            if key not in self._stamps:
                with open(path, "rb") as file:
                    self.digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
                self._stamps[key] = stamp
            elif self._stamps[key] != stamp:
                self.digests[key] = None
        except OSError:  # the opening itself fails, or there is only the bytecode
            pass
        finally:
            self._reading = None


def _plainly_outside(path: str, roots: tuple[str, ...]) -> bool:
    """Tell at a glance that a file lies elsewhere; nearly every module's does."""
    return os.path.isabs(path) and ".." not in path and not path.startswith(roots)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _EVENTS and _hearing:
        try:
            _hearing[-1].hear(event, args)
        except Exception:  # an error here would be the opening code's own
            return
