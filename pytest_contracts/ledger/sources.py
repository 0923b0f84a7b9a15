"""Which files a verdict rests on: the code that ran, what it imports, and the files it names.

Nothing is imported to find out: imports are read from the source text, also those inside of
functions, so that an accelerator's code is followed on a machine that lacks the accelerator.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pytest_contracts.binding import unwrapped
from pytest_contracts.ledger.opened import Opened

_JUDGE = Path(__file__).resolve().parents[1]
_INSTALLED = {"site-packages", "dist-packages"}
_FILE_NAME = re.compile(r"[\w.+-]+(?:/[\w.+-]+)*\.\w+")
_C_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_C_SUFFIXES = {".cu", ".cuh", ".h", ".hpp", ".c", ".cc", ".cpp", ".cl", ".metal"}
_MODULE = "module:"
_NAME_COMMIT = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


class Import(NamedTuple):
    """One import statement; ``level`` counts the leading dots."""

    level: int
    module: str
    names: tuple[str, ...]


class SourceTree:
    """The files below a project's root on which functions depend.

    A file is known by its path from the root, as POSIX writes it. Installed packages are not
    followed; where the function itself lives in one, its own file is known as ``module:NAME``.
    """

    def __init__(self, root: Path, opened: Opened | None = None) -> None:
        self.root = root.resolve()
        self.opened = opened
        self._closures: dict[str, frozenset[str]] = {}
        self._plugins: dict[Path, frozenset[str]] = {}
        self._named: dict[str, frozenset[str]] = {}

    def files(
        self,
        functions: Iterable[Callable[..., Any]],
        helpers: Iterable[Callable[..., Any]] = (),
        plugins: Iterable[ModuleType] = (),
    ) -> tuple[str, ...]:
        """Return the keys of all files that these functions depend on, sorted.

        ``helpers``, such as fixtures, count only where they are the project's own. ``plugins``,
        such as a conftest, count with what they import outside of functions.
        """
        keys: set[str] = set()
        for function in functions:
            keys |= self._keys(function) or {f"{_MODULE}{_module_name(function)}"}
        for helper in helpers:
            keys |= self._keys(helper)
        if keys:
            for plugin in plugins:
                keys |= self._plugin_keys(plugin)
        return tuple(sorted(key for key in keys if self._is_known(key)))

    def _is_known(self, key: str) -> bool:
        opened = self.opened is not None and key in self.opened.digests
        return opened or self.digest(key) is not None

    def data(self, files: Iterable[str]) -> tuple[str, ...]:
        """Return the keys of what code in these files has opened so far, sorted.

        What a file imports by name is known without this; what it imports under a computed name
        counts, and what that has opened in its turn.
        """
        if self.opened is None:
            return ()
        known = set(files)
        found: set[str] = set()
        entries = [(key, set(by)) for key, by in list(self.opened.openers.items())]
        while True:
            more = {
                key
                for key, by in entries
                if key not in known and any(o in known and not self._names(o, key) for o in by)
            }
            if not more:
                return tuple(sorted(found))
            known |= more
            found |= more

    def _names(self, opener: str, key: str) -> bool:
        """Tell whether a file imports another by name, or has to on its way to what it imports."""
        if not key.endswith(".py"):
            return False
        if opener not in self._named:
            path = self.root / opener
            needs = (found for _, found in _needs(_name_of(path), path))
            local = (found for found in needs if self._is_local(found))
            keys = (found.relative_to(self.root).as_posix() for found in local)
            self._named[opener] = frozenset(keys)
        named = self._named[opener]
        package, _, name = key.rpartition("/")
        way = name == "__init__.py" and any(other.startswith(f"{package}/") for other in named)
        return way or key in named

    def _plugin_keys(self, plugin: ModuleType) -> frozenset[str]:
        path = Path(plugin.__file__ or "").resolve()
        if path not in self._plugins:
            keys = {path}
            if self._is_local(path):
                for name, found in _needs(plugin.__name__, path, inside=False):
                    if self._is_local(found):
                        keys |= set(self._closure(name, found))
            local = (file for file in keys if self._is_local(file))
            keys_from_root = (file.relative_to(self.root).as_posix() for file in local)
            self._plugins[path] = frozenset(keys_from_root)
        return self._plugins[path]

    def _keys(self, function: Callable[..., Any]) -> frozenset[str]:
        name = _module_name(function)
        if name not in self._closures:
            path = _origin(name)
            local = path is not None and self._is_local(path)
            found = self._closure(name, path) if path is not None and local else ()
            keys = (file.relative_to(self.root).as_posix() for file in found)
            self._closures[name] = frozenset(keys)
        return self._closures[name]

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 of a file, None where it cannot be read.

        It is of the file as it was when this process opened it, else as it is now.
        """
        if self.opened is not None and key in self.opened.digests:
            return self.opened.digests[key]
        name = key.removeprefix(_MODULE)
        path = self.root / key if name == key else _origin(name)
        try:
            return None if path is None else _file_digest(str(path), path.stat().st_mtime_ns)
        except OSError:
            return None

    def _is_local(self, path: Path) -> bool:
        if not path.is_relative_to(self.root) or path.is_relative_to(_JUDGE):
            return False
        return not _INSTALLED & set(path.relative_to(self.root).parts)

    def _closure(self, name: str, path: Path) -> Iterator[Path]:
        waiting = [(name, path)]
        seen = {path}
        while waiting:
            name, path = waiting.pop()
            yield path
            for found_name, found in _needs(name, path):
                if found not in seen and self._is_local(found):
                    seen.add(found)
                    waiting.append((found_name, found))


def _module_name(function: Callable[..., Any]) -> str:
    return getattr(unwrapped(function), "__module__", None) or ""


def _name_of(path: Path) -> str:
    """Return the name under which a file has been imported, "" for none."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__dict__", {}).get("__file__") == str(path):
            return name
    return ""


def _needs(name: str, path: Path, *, inside: bool = True) -> Iterator[tuple[str, Path]]:
    """Yield the modules and files that one file mentions; a plain file has no module name.

    ``inside`` says whether the bodies of functions count.
    """
    try:
        stamp = path.stat().st_mtime_ns
        if path.suffix in _C_SUFFIXES:
            mentioned: tuple[str, ...] = _includes(str(path), stamp)
            imports: tuple[Import, ...] = ()
        elif path.suffix == ".py":
            imports, mentioned = _mentions(str(path), stamp, inside)
        else:
            return
    except OSError:
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for statement in imports:
        for module in _modules(statement, package):
            origin = _origin(module)
            if origin is not None:
                yield module, origin
    for text in mentioned:
        beside = (path.parent / text).resolve()
        if beside.is_file():
            yield "", beside


def _modules(statement: Import, package: str) -> Iterator[str]:
    """Yield the names of the modules whose code an import statement gives access to."""
    base = statement.module
    if statement.level:
        parts = package.split(".")
        parts = parts[: len(parts) - statement.level + 1]
        base = ".".join([*filter(None, parts), *filter(None, [statement.module])])
    if not base:
        return
    submodules = [f"{base}.{name}" for name in statement.names]
    found = [name for name in submodules if _spec(name) is not None]
    yield from found
    if len(found) < len(submodules) or not submodules:
        yield base


def _origin(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        spec = _spec(name)
        file = spec.origin if spec is not None and spec.has_location else None
    return None if file is None else Path(file).resolve()


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without importing anything, its packages included."""
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__spec__", None)
    parent, _, _ = name.rpartition(".")
    if not parent:
        return PathFinder.find_spec(name)
    package = _spec(parent)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, package.submodule_search_locations)


@lru_cache(maxsize=4096)
def _mentions(
    path: str, modified_ns: int, inside: bool
) -> tuple[tuple[Import, ...], tuple[str, ...]]:
    """Return the imports of a Python file, and the texts in it that look like file names."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return (), ()
    imports: list[Import] = []
    texts: dict[str, None] = {}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            imports += [Import(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imports.append(Import(node.level, node.module or "", names))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _FILE_NAME.fullmatch(node.value[:200]):
                texts[node.value] = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside:
            continue
        elif isinstance(node, ast.If) and _is_for_types(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return tuple(imports), tuple(texts)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


@lru_cache(maxsize=1024)
def _includes(path: str, modified_ns: int) -> tuple[str, ...]:
    found = _C_INCLUDE.findall(Path(path).read_bytes())
    return tuple(os.fsdecode(name) for name in found)


@lru_cache(maxsize=4096)
def _file_digest(path: str, modified_ns: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def commit(root: Path) -> str | None:
    """Return the commit that is checked out, ``-dirty`` where files differ; None without Git."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), *_NAME_COMMIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
