"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def imports_of(path: Path) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports, at any depth of its code, with the line."""
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[tuple[str, int]]:
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


def modules(package: str) -> dict[str, Path]:
    """Every module of a package, by its dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**modules("inference"), **modules("pytest_contracts")}


@cache
def modules_imported_by(path: Path) -> tuple[tuple[str, int], ...]:
    """The modules of our packages that a file imports; of ``from a import b``, b if it is one."""
    return tuple(_modules_imported_by(path))


def _modules_imported_by(path: Path) -> Iterator[tuple[str, int]]:
    found = imports_of(path)
    for name, line in found:
        deeper = any(line == at and other.startswith(f"{name}.") for other, at in found)
        named = [other for other, at in found if line == at and other in MODULES and other != name]
        if name in MODULES and not (deeper and named):
            yield name, line


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


FLOORS = {
    "inference": (
        ("errors",),
        ("threads", "staging", "memory"),
        ("quant",),
        ("kernels",),
        ("model",),
        ("formats",),
        ("text", "trace"),
        ("backends",),
        ("decode",),
        ("engine", "hub", "data"),
        ("",),  # the public face: inference/__init__.py
        ("bench", "compare", "evaluate", "surgery"),
        ("cli",),
    ),
    "pytest_contracts": (
        ("",),  # the version: pytest_contracts/__init__.py
        ("where", "files", "streams", "suggesting", "tolerance", "watching"),
        ("errors", "options"),
        ("binding", "formula"),
        ("contract", "asserting"),
        ("symbolic", "domains", "ledger"),
        ("report",),
        ("hookspecs",),
        ("items",),
        ("analysis",),
        ("plugin",),
        ("mutation",),
        ("cli",),
    ),
}
"""The rooms of each package from the ground up: each may import those on floors below its own."""

DOORS = {
    "inference.backends.cpu": "inference/backends",
    "inference.backends.cpu.lowered.": "inference/backends/cpu/lowered",
}
"""What nobody outside of a folder may import: models and sessions know the protocol alone."""


def room_of(package: str, name: str) -> str:
    return f"{name}.".split(".")[1] if inside(name, package) else name


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor(package: str) -> None:
    listed = [room for floor in FLOORS[package] for room in floor]
    assert len(listed) == len(set(listed))
    rooms = {
        path.stem
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file())
    }
    assert {room for room in rooms if room != "__init__"} | {""} == set(listed)


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_from_lower_floors_only(package: str) -> None:
    floor_of = {room: i for i, floor in enumerate(FLOORS[package]) for room in floor}
    wrong = []
    for name, path in modules(package).items():
        own = room_of(package, name)
        for imported, line in modules_imported_by(path):
            if not inside(imported, package):
                continue
            other = room_of(package, imported)
            if other != own and floor_of[other] >= floor_of[own]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {imported}")
    assert wrong == []


@pytest.mark.parametrize("package", FLOORS)
def test_no_files_import_each_other_in_a_circle(package: str) -> None:
    """Imports within functions and for type checkers count: a reader follows them all the same."""
    graph = {
        name: {found for found, _ in modules_imported_by(path) if found != name}
        for name, path in modules(package).items()
    }
    for name, path in modules(package).items():
        if path.name == "__init__.py":  # a door names what is behind it
            graph[name] -= {found for found in graph[name] if found.startswith(f"{name}.")}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert graph == {}


@pytest.mark.parametrize(("module", "folder"), DOORS.items())
def test_a_room_is_entered_by_its_door(module: str, folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {found}"
        for path in modules("inference").values()
        if not path.is_relative_to(ROOT / folder)
        for found, line in modules_imported_by(path)
        if found.startswith(module)
    ]
    assert wrong == []


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


HEAVY = {
    "hypothesis",
    "numpy",
    "numba",
    "yaml",
    "jsonschema",
    "jinja2",
    "tomllib",
    "z3",
    "crosshair",
}


def modules_of_a_run(folder: Path, *arguments: str) -> set[str]:
    """The modules that a run of pytest with this plugin alone has loaded at its end."""
    (folder / "test_plain.py").write_text("def test_plain(): pass\n")
    (folder / "conftest.py").write_text(
        "import json, sys\n\n\ndef pytest_unconfigure():\n"
        "    json.dump(sorted(sys.modules), open('modules.json', 'w'))\n"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    words = ["-p", "pytest_contracts.plugin", "-p", "no:cacheprovider", *arguments]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=folder, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return set(json.loads((folder / "modules.json").read_text()))


def test_a_run_without_contracts_takes_next_to_nothing(tmp_path: Path) -> None:
    loaded = modules_of_a_run(tmp_path)
    assert {name for name in loaded if inside(name, "pytest_contracts")} == {
        "pytest_contracts",
        "pytest_contracts.hookspecs",
        "pytest_contracts.options",
        "pytest_contracts.plugin",
    }
    assert loaded & HEAVY == set()


def test_a_run_that_collects_no_contract_takes_little(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\ncontracts = contracts\n")
    loaded = modules_of_a_run(tmp_path, "test_plain.py")
    assert "pytest_contracts.report.recorder" in loaded
    assert "pytest_contracts.ledger.records" not in loaded
    assert loaded & HEAVY == set()


def test_the_plugin_itself_hears_of_no_test() -> None:
    from pytest_contracts import plugin

    hooks = [name for name in vars(plugin) if name.startswith("pytest_")]
    assert hooks == ["pytest_addoption", "pytest_addhooks", "pytest_configure"]


def test_options_are_read_in_one_place() -> None:
    asked = re.compile(r"""get(option\(|ini\()\s*f?["'](--)?contracts""")
    files = sorted((ROOT / "pytest_contracts").rglob("*.py"))
    found = [str(path.relative_to(ROOT)) for path in files if asked.search(path.read_text("utf-8"))]
    assert found == []
