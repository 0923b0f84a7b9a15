"""A defect in the running process, for as long as a block lasts."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_contracts import binding
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.mutation.defects import Defect


@contextmanager
def planted(defect: Defect) -> Iterator[ModuleType]:
    """Put the mutated functions and classes of a Python module in the place of the real ones.

    Who imported one of them by name before keeps the real one; where that matters, plant an
    ``overlay`` in a process of its own. Yields the module; everything is restored at the end.
    """
    if not defect.in_python:
        raise ContractBindingError(
            f"mutant '{defect.mutant.id}': {defect.source.name} is no Python module",
            where=defect.mutant.where,
            hint="Plant it in a copy of the package.",
        )
    module = importlib.import_module(defect.module)
    names, registry = dict(vars(module)), dict(binding._registry)
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        try:
            vars(module).update(_mutated(defect, Path(folder) / "mutated.py"))
            yield module
        finally:
            _restore(vars(module), names)
            _restore(binding._registry, registry)


def _mutated(defect: Defect, file: Path) -> dict[str, Any]:
    """Return what the mutated text defines itself; what it imports stays the original's.

    The code says that it comes from ``file``, so that Numba takes no code that it has kept for the
    original, and keeps none in its place.
    """
    file.write_bytes(defect.text.encode("utf-8"))
    copy = ModuleType(defect.module)
    copy.__file__ = str(defect.source)
    copy.__package__ = defect.module.rpartition(".")[0]
    exec(compile(defect.text, str(file), "exec"), vars(copy))
    return {
        name: value
        for name, value in vars(copy).items()
        if getattr(value, "__module__", None) == defect.module
    }


def _restore(names: dict[Any, Any], before: dict[Any, Any]) -> None:
    names.clear()
    names.update(before)
