"""Every defect that the sampling contract declares turns the items red that it names."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from inference.decode import reference, sampling, stop, transforms
from pytest_contracts.contract import load
from pytest_contracts.contract.model import Contract, Mutant

FILE = Path(__file__).parents[3] / "contracts" / "pipeline" / "sampling-algorithms-v1.yaml"
CONTRACT: Contract = load(FILE)
assert CONTRACT.qa_gate is not None
GATE = CONTRACT.qa_gate
MODULES = (reference, sampling, stop, transforms)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = [dict(vars(module)) for module in MODULES]
    yield
    for module, names in zip(MODULES, before, strict=True):
        vars(module).update(names)


def target_of(mutant: Mutant) -> ModuleType:
    target = mutant.target
    if ":" not in target:
        equation, implementation = target.split(".")
        target = CONTRACT.equation(equation).implementations[implementation]
    return importlib.import_module(target.partition(":")[0])


def plant(mutant: Mutant) -> None:
    subject = target_of(mutant)
    assert subject.__file__ is not None
    assert mutant.replace is not None
    old, new = mutant.replace
    source = Path(subject.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, "the mutant no longer fits the source"
    exec(compile(source.replace(old, new), subject.__file__, "exec"), vars(subject))


def failed_items(pytester: pytest.Pytester, *claims: str) -> set[str]:
    chosen = ["-k", " or ".join(claims)] if claims else []
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-rf", f"--contracts={FILE.parents[1]}", *chosen, str(FILE)
    )
    outcomes = result.parseoutcomes()
    assert "error" not in outcomes
    assert "errors" not in outcomes
    assert sum(outcomes.values()) >= max(1, len(claims))
    return set(re.findall(r"^FAILED .*::([A-Z0-9-]+)", "\n".join(result.outlines), re.M))


def test_the_contract_holds(pytester: pytest.Pytester) -> None:
    assert failed_items(pytester) == set()


@pytest.mark.parametrize("mutant", GATE.mutants, ids=[mutant.id for mutant in GATE.mutants])
def test_a_declared_mutant_is_killed(pytester: pytest.Pytester, mutant: Mutant) -> None:
    plant(mutant)
    assert failed_items(pytester, *mutant.killed_by) == set(mutant.killed_by)


def test_every_item_kills_a_mutant() -> None:
    killers = {item for mutant in GATE.mutants for item in mutant.killed_by}
    assert killers == set(GATE.checks) == {claim.id for claim in CONTRACT.claims}
