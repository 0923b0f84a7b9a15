"""What is in a project's files, in few characters each."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

LISTING = "*"
"""Stands for the names in a folder: a file that is new there can shadow one, or set options."""
_COUNTING = {".py", ".so", ".pyd", ".ini", ".cfg", ".toml"}
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
                content = self._content(self._root / name)
            except OSError:
                self._known[name] = None
            else:
                self._known[name] = hashlib.sha256(_telling(name, content)).hexdigest()[:LENGTH]
        return self._known[name]

    def _content(self, path: Path) -> bytes:
        if path.name != LISTING:
            return path.read_bytes()
        return "\n".join(sorted(filter(None, map(_counting, path.parent.iterdir())))).encode()

    def changed_since(self, name: str, moment_ns: int) -> bool:
        """Tell whether a file was written after a moment, or is gone."""
        if PurePosixPath(name).name == LISTING:
            return False  # Python writes its caches there
        try:
            return (self._root / name).stat().st_mtime_ns >= moment_ns
        except OSError:
            return True


def with_folders(names: Iterable[str]) -> frozenset[str]:
    """Return names of files, and the listings of the folders that they lie in, up to the root."""
    files = frozenset(names)
    folders = {folder for name in files for folder in PurePosixPath(name).parents}
    return files | {str(folder / LISTING) for folder in folders}


def _counting(path: Path) -> str:
    """Return the name of what Python would import or pytest read of a folder, else ""."""
    if path.name.startswith("."):
        return ""
    package = path.is_dir() and (path / "__init__.py").is_file()
    return f"{path.name}/" if package else path.name if path.suffix in _COUNTING else ""


def _telling(name: str, content: bytes) -> bytes:
    """Return what of a file can change a verdict: of ``pyproject.toml`` what pytest reads."""
    if name != "pyproject.toml":
        return content
    try:
        tables = tomllib.loads(content.decode("utf-8")).get("tool", {}).get("pytest", {})
    except ValueError:
        return content
    return json.dumps(tables, sort_keys=True, default=str).encode()
