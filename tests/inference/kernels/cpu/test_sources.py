"""Which files a compiled function builds on: what is kept of it counts while these are the same."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
from numba.core.registry import CPUDispatcher

import inference
from inference import kernels
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


def test_the_digest_changes_with_a_file_that_is_built_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_ROOT", tmp_path)
    folder = tmp_path.joinpath("inference", "kernels")
    folder.mkdir(parents=True)
    for name, text in {
        "a": "from inference.kernels.b import B\n",
        "b": "import inference.kernels.c\n",
        "c": "C = 1\n",
        "d": "D = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    digests = []
    for name in ("", "d", "c"):
        if name:
            (folder / f"{name}.py").write_text("CHANGED = 1\n", "utf-8")
        sources._imported.cache_clear()
        closure_digest.cache_clear()
        digests.append(closure_digest(folder / "a.py"))
    sources._imported.cache_clear()
    closure_digest.cache_clear()
    assert digests[0] == digests[1] != digests[2]


MODULES = [
    found.name
    for found in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}.")
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
