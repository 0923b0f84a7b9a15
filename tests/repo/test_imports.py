"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, at any depth of its code, with the line."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base, node.lineno
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def offending(folder: str, package: str, allowed: tuple[str, ...] = ()) -> list[str]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        for name, line in imports_of(path)
        if inside(name, package) and not any(inside(name, module) for module in allowed)
    ]


def test_the_judge_does_not_know_the_engine() -> None:
    assert offending("pytest_contracts", "inference") == []


def test_the_engine_takes_the_decorator_only() -> None:
    known = ("pytest_contracts.binding",)
    assert offending("inference", "pytest_contracts", known) == []


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("inference/kernels", "inference.backends"),
        ("inference/kernels", "inference.model"),
        ("inference/kernels", "inference.formats"),
        ("inference/formats", "inference.kernels"),
        ("inference/formats", "inference.backends"),
        ("inference/formats", "inference.engine.model"),
        ("inference/quant", "inference.kernels"),
        ("inference/quant", "inference.formats"),
    ],
)
def test_lower_rooms_do_not_open_into_higher_ones(folder: str, package: str) -> None:
    assert offending(folder, package) == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("pytest_contracts.plugin", ("hypothesis", "numpy", "numba", "yaml", "z3", "crosshair")),
        ("pytest_contracts.binding", ("pytest", "_pytest", "hypothesis", "numpy", "z3", "yaml")),
        ("inference", ("numpy", "numba", "pytest", "hypothesis", "typer")),
        ("inference.cli", ("numba", "pytest", "hypothesis", "tokenizers")),
    ],
)
def test_an_import_is_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert module.partition(".")[0] in loaded
    assert loaded & set(heavy) == set()
