"""Which files a compiled function builds on: what is kept of it counts while these are the same."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from numba.core.registry import CPUDispatcher

import inference
from inference import kernels
from inference.backends.cpu import lowered
from inference.kernels.cpu import checked, compiled, exponential, sources
from inference.kernels.cpu.sources import closure, closure_digest
from inference.kernels.softmax import cpu as softmax

INDENTED = """
def f():
    from inference.kernels.cpu import (
        exponential as e,  # a comment
        checked,
    )
    import inference.kernels.cpu.sources
"""


def file(module: ModuleType) -> Path:
    return Path(str(module.__file__))


def test_a_kernel_builds_on_what_it_imports_and_on_what_that_imports() -> None:
    found = closure(file(softmax))
    assert {file(softmax), file(exponential), file(compiled), file(sources)} <= {*found}
    assert Path(str(inference.__file__)) not in found
    assert found == sorted(set(found))


def test_imports_are_seen_however_they_are_written(tmp_path: Path) -> None:
    here = tmp_path / "here.py"
    here.write_text(INDENTED, "utf-8")
    assert {here, file(exponential), file(checked), file(sources)} <= {*closure(here)}


Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes files of another engine, and returns the first one's path."""
    root = tmp_path / "inference"
    monkeypatch.setattr(sources, "_ROOT", tmp_path)
    monkeypatch.setattr(sources, "_KERNELS", root / "kernels")

    def write(files: dict[str, str]) -> Path:
        sources._imported.cache_clear()
        closure_digest.cache_clear()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"{text}\n", "utf-8")
        return root / next(iter(files))

    yield write
    sources._imported.cache_clear()
    closure_digest.cache_clear()


@pytest.mark.parametrize(
    ("changed", "counts"),
    [("kernels/c.py", True), ("kernels/d.py", False), ("run/near.py", True), ("far.py", False)],
)
def test_the_digest_changes_with_a_file_that_is_built_on(
    write: Write, changed: str, counts: bool
) -> None:
    """Those are files of the kernels, and what lies beside the function's own."""
    start = write(
        {
            "run/it.py": "from inference import kernels, far\nfrom inference.far import FAR",
            "run/near.py": "NEAR = 1",
            "kernels/__init__.py": "from inference.kernels.b import B",
            "kernels/b.py": "import inference.kernels.c\nfrom inference.run.near import NEAR",
            "kernels/c.py": "C = 1",
            "kernels/d.py": "D = 1",
            "far.py": "from inference.kernels.d import D",
        }
    )
    before = closure_digest(start)
    write({changed: "CHANGED = 1"})
    assert (closure_digest(start) != before) is counts


@pytest.mark.parametrize(
    ("names", "counts"), [("a", False), ("a as b", False), ("(a, F)", True), ("F", True)]
)
def test_a_package_counts_where_a_name_is_its_own(write: Write, names: str, counts: bool) -> None:
    """Not where all are modules of it: one of compiled code may import half of the engine."""
    text = f"from inference.kernels import {names}"
    start = write({"it.py": text, "kernels/a.py": "", "kernels/__init__.py": ""})
    assert (start.parent / "kernels" / "a.py" in closure(start)) is ("a" in names)
    assert (start.parent / "kernels" / "__init__.py" in closure(start)) is counts


MODULES = [
    found.name
    for package in (kernels, lowered)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if ".cuda" not in found.name
]


@pytest.mark.parametrize("name", MODULES)
def test_what_a_kept_function_calls_is_in_a_file_that_it_builds_on(name: str) -> None:
    module = importlib.import_module(name)
    for function in vars(module).values():
        if not isinstance(function, CPUDispatcher) or function.__module__ != name:
            continue
        code = function.py_func.__code__
        known = closure(Path(code.co_filename))
        for called in map(vars(module).get, code.co_names):
            if isinstance(called, CPUDispatcher):
                assert Path(called.py_func.__code__.co_filename) in known, (function, called)
