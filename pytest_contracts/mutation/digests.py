"""What is in a project's files, in few characters each."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

LENGTH = 16
"""Of 64 characters: enough to see that a file changed, and short enough to read a list of them."""


class Digests:
    """The digests of the files below a root, each taken once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, str | None] = {}

    def __call__(self, name: str) -> str | None:
        """Return the digest of a file, None where there is none to read."""
        if name not in self._known:
            try:
                content = (self._root / name).read_bytes()
            except OSError:
                self._known[name] = None
            else:
                self._known[name] = hashlib.sha256(_telling(name, content)).hexdigest()[:LENGTH]
        return self._known[name]

    def changed_since(self, name: str, moment_ns: int) -> bool:
        """Tell whether a file was written after a moment, or is gone."""
        try:
            return (self._root / name).stat().st_mtime_ns >= moment_ns
        except OSError:
            return True


def _telling(name: str, content: bytes) -> bytes:
    """Return what of a file can change a verdict: of ``pyproject.toml`` what pytest reads."""
    if name != "pyproject.toml":
        return content
    try:
        tables = tomllib.loads(content.decode("utf-8")).get("tool", {}).get("pytest", {})
    except ValueError:
        return content
    return json.dumps(tables, sort_keys=True, default=str).encode()
