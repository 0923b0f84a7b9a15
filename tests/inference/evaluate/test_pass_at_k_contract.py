"""Every defect that the pass@k contract declares turns the items red that it names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.evaluate import pass_at_k as subject

CONTRACT = Path(__file__).parents[3] / "contracts" / "pipeline" / "pass-at-k.yaml"
GATE: dict[str, Any] = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["qa_gate"]
MUTANTS: list[dict[str, Any]] = GATE["falsification"]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = dict(vars(subject))
    yield
    vars(subject).update(before)


def plant(replace: tuple[str, str]) -> None:
    old, new = replace
    assert subject.__file__ is not None
    source = Path(subject.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, "the mutant no longer fits the source"
    exec(compile(source.replace(old, new), subject.__file__, "exec"), vars(subject))


def failed_items(pytester: pytest.Pytester) -> set[str]:
    shutil.copy(CONTRACT, pytester.path)
    shutil.copy(CONTRACT.with_name("pass_at_k.py"), pytester.path)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rf", "--contracts=.")
    outcomes = result.parseoutcomes()
    # The claims and the gate.
    assert outcomes.get("passed", 0) + outcomes.get("failed", 0) == len(GATE["checks"]) + 1
    return set(re.findall(r"^FAILED .*::([A-Z0-9-]+)", "\n".join(result.outlines), re.M))


def test_the_contract_holds(pytester: pytest.Pytester) -> None:
    assert failed_items(pytester) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant["id"] for mutant in MUTANTS])
def test_a_declared_mutant_is_killed(pytester: pytest.Pytester, mutant: dict[str, Any]) -> None:
    plant(mutant["replace"])
    failed = failed_items(pytester)
    assert set(mutant["killed_by"]) <= failed
    assert GATE["id"] in failed


def test_every_item_kills_a_mutant() -> None:
    killers = {item for mutant in MUTANTS for item in mutant["killed_by"]}
    assert killers == set(GATE["checks"])
