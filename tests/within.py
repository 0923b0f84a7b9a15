"""Runs of pytest within a test: the same whatever else is installed, and no dearer than need be."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import _hypothesis_pytestplugin
import pytest
from hypothesis import Phase, settings
from hypothesis.configuration import storage_directory
from hypothesis.internal import reflection
from hypothesis.internal.conjecture import engine

from pytest_contracts import plugin

NEEDED = (plugin, _hypothesis_pytestplugin)
"""The plugins that a run of contracts needs, of all that are installed."""
WORDS = tuple(word for module in NEEDED for word in ("-p", module.__name__))
WORKERS = (*WORDS, "-p", "xdist", "-n2", "-o", "pythonpath=.")
"""What makes an inner run share its work among processes that load what it loads."""

Made = TypeVar("Made")


ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@contextmanager
def alone() -> Iterator[None]:
    """Let inner runs load no plugins but those that they name.

    Loading all that is installed takes half of their start. What the others do beside contracts has
    tests of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALONE.items():
            patch.setenv(name, value)
        yield


class Imports:
    """What inner runs have imported, but for their projects' own: it stays imported.

    Pytester forgets every module that an inner run, or a test, imported first. A project's own have
    to go, for the next project has others of the same names. Others would be loaded anew by each
    run, and extension modules such as NumPy's cannot be loaded twice.
    """

    def __init__(self) -> None:
        self._kept: dict[str, ModuleType] = {}

    def keep(self, projects: Path) -> None:
        """Keep what is imported now, but for what lies below a folder."""
        for name, module in list(sys.modules.items()):
            if name not in self._kept and _stays(name, module, f"{projects}{os.sep}"):
                self._kept[name] = module

    def put_back(self) -> None:
        """Let what has been forgotten be imported again."""
        for name, module in self._kept.items():
            sys.modules.setdefault(name, module)


def _stays(name: str, module: ModuleType, projects: str) -> bool:
    file = getattr(module, "__file__", None)
    own = getattr(getattr(module, "__spec__", None), "name", None)  # else it stands in for another
    return file is not None and own == name and not file.startswith(projects)


IMPORTS = Imports()


class _Keeping:
    """A plugin of an inner run that keeps its imports when it ends."""

    def __init__(self, projects: Path) -> None:
        self._projects = projects

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        IMPORTS.keep(self._projects)


def run_here(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest in this process, with no other plugins than it needs, and keep what it imports.

    Plugins are handed over: to look up one by its name reads what all distributions say of theirs.
    """
    with alone():
        return _run(pytester, *words, plugins=NEEDED)


def run_beside_all(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest in this process, with all plugins that are installed."""
    return _run(pytester, "-p", plugin.__name__, *words)


def run_apart(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest in a process of its own, with no other plugins than it needs."""
    with alone():
        return pytester.runpytest_subprocess(*WORDS, *words)


_clean_source = lru_cache(reflection._clean_source)
"""Hypothesis parses the plugin's same few functions for each claim, a twentieth of an inner run."""


def _run(
    pytester: pytest.Pytester, *words: str, plugins: Iterable[ModuleType] = ()
) -> pytest.RunResult:
    """Run pytest here; a claim that takes none of 50 inputs is given up, not only one of 459."""
    IMPORTS.put_back()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "INVALID_THRESHOLD_BASE", 50)
        patch.setattr(reflection, "_clean_source", _clean_source)
        keeping = _Keeping(pytester.path.parent)
        result = pytester.runpytest_inprocess(*words, plugins=[*plugins, keeping])
    IMPORTS.put_back()
    return result


READ_BY_HYPOTHESIS = ("constants", "unicode_data")


def share_what_hypothesis_read(project: Path) -> None:
    """Let the processes of a project read what Hypothesis has read before, in any of them.

    Each would parse all of this project's modules for constants to draw, 0.4 CPU s, and keep them
    in its own folder, by the digest of the source. Examples are not shared.
    """
    shared = storage_directory().path
    own = project / ".hypothesis"
    own.mkdir()
    for name in READ_BY_HYPOTHESIS:
        (shared / name).mkdir(parents=True, exist_ok=True)
        (own / name).symlink_to(shared / name, target_is_directory=True)


@contextmanager
def unshrunk() -> Iterator[None]:
    """Let runs here make no input smaller that falsifies: for who asks which claims fail only."""
    outer = settings.get_current_profile_name()
    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("unshrunk", settings.get_profile(outer), phases=phases)
    settings.load_profile("unshrunk")
    try:
        yield
    finally:
        settings.load_profile(outer)


class Once:
    """Does a thing for the first test that asks; the others get what came of it.

    So do those that other workers of the same session run: they wait for it. What is made is told
    from one process to another, so it is plain data.
    """

    def __init__(self, folder: Path, module: str) -> None:
        self._folder = folder
        self._module = module
        self._made: dict[str, Any] = {}

    @classmethod
    def of(cls, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Once:
        """Return what the tests of a module do once in a session."""
        folder = factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder in that of the session
            folder = folder.parent
        return cls(folder, request.module.__name__)

    def __call__(self, what: str, make: Callable[[], Made]) -> Made:
        """Return what has been made of ``what``; what fails is tried again by the next test."""
        if what not in self._made:
            digest = hashlib.sha256(f"{self._module}::{what}".encode()).hexdigest()
            self._made[what] = self._told(self._folder / f"once-{digest}", make)
        made: Made = self._made[what]
        return made

    @staticmethod
    def _told(path: Path, make: Callable[[], Made]) -> Made:
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                made: Made = pickle.loads(path.read_bytes())
                return made
            made = make()
            whole = path.with_suffix(".new")
            whole.write_bytes(pickle.dumps(made))
            whole.replace(path)  # so that who is killed meanwhile leaves nothing cut short
            return made
