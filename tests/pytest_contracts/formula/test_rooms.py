"""What the room of formulas may know of the house: errors, and what a tolerance is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_contracts.formula

ROOM = Path(pytest_contracts.formula.__file__).parent
BELOW = frozenset(
    {"pytest_contracts.errors", "pytest_contracts.tolerance", "pytest_contracts.where"}
)


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return named | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOM)))
def test_a_formula_knows_no_contract(path: Path) -> None:
    ours = {name for name in imported(path) if name.partition(".")[0] == "pytest_contracts"}
    outside = {name for name in ours if not name.startswith("pytest_contracts.formula")}
    assert outside <= BELOW
