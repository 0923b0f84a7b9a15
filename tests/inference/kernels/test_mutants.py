"""Every defect that a kernel contract declares is planted, and the items it names must fall."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from hypothesis import Phase, settings

from pytest_contracts import binding
from pytest_contracts.contract import load
from pytest_contracts.contract.model import Contract, Mutant

CONTRACTS = Path(__file__).parents[3] / "contracts" / "kernels"
SUFFIX = "-kernel-v1.yaml"
KERNELS = sorted(path.name.removesuffix(SUFFIX) for path in CONTRACTS.glob(f"*{SUFFIX}"))
PROFILE = "mutants"
# Claims about code in another room: test_matmul.py breaks it under them.
OF_OTHER_ROOMS = {"MM-BND-001", "FALSIFY-MM-004"}

settings.register_profile(
    PROFILE,
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # the first counterexample will do
)


def declared() -> list[object]:
    contracts = [load(CONTRACTS / f"{kernel}{SUFFIX}") for kernel in KERNELS]
    return [
        pytest.param(contract, mutant, id=f"{contract.name}-{mutant.id}")
        for contract in contracts
        if contract.qa_gate is not None
        for mutant in contract.qa_gate.mutants
    ]


def mutated(module: ModuleType, mutant: Mutant, folder: Path) -> ModuleType:
    """Import a copy of ``module`` with the defect in it; the file is new, so no cache is used."""
    assert mutant.replace is not None
    old, new = mutant.replace
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__file__}"
    path = folder / "mutated.py"
    path.write_text(source.replace(old, new), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"mutated_{folder.name}", path)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    sys.modules[copy.__name__] = copy
    spec.loader.exec_module(copy)
    return copy


def plant(contract: Contract, mutant: Mutant, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """Put the mutated functions in the place of the real ones; return the implementation's name."""
    equation, implementation = mutant.target.split(".")
    target = contract.equation(equation).implementations[implementation]
    module = importlib.import_module(target.partition(":")[0])
    patch.setattr(binding, "_registry", dict(binding._registry))
    copy = mutated(module, mutant, folder)
    for name, value in vars(copy).items():
        if isinstance(value, FunctionType) and value.__module__ == copy.__name__:
            patch.setattr(module, name, value)
    return implementation


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_claim_has_a_mutant_that_it_must_kill(kernel: str) -> None:
    contract = load(CONTRACTS / f"{kernel}{SUFFIX}")
    assert contract.qa_gate is not None
    killers = {claim for mutant in contract.qa_gate.mutants for claim in mutant.killed_by}
    claims = {claim.id for claim in contract.claims}
    assert claims - killers == OF_OTHER_ROOMS & claims
    assert set(contract.qa_gate.checks) == claims


@pytest.mark.parametrize(("contract", "mutant"), declared())
def test_named_items_kill_the_mutant(
    contract: Contract,
    mutant: Mutant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    implementation = plant(contract, mutant, tmp_path, monkeypatch)
    harnesses = {harness.id for harness in contract.harnesses}
    items = [
        f"{contract.path}::{claim}" + ("" if claim in harnesses else f"[{implementation}]")
        for claim in mutant.killed_by
    ]
    report = tmp_path / "report.json"
    profile = settings.get_current_profile_name()
    monkeypatch.setenv("HYPOTHESIS_PROFILE", PROFILE)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # a second --cov would end the first one
    try:
        # pytester would import every module anew for each of the many mutants. The root is a
        # folder of this test's, so that the project's ledger does not record mutants.
        pytest.main(
            ["-q", f"--rootdir={tmp_path}", "-p", "pytest_contracts.plugin",
             "-p", "no:cacheprovider", "-p", "no:faulthandler",
             "-W", "ignore::pytest.PytestAssertRewriteWarning",
             f"--contracts-report={report}", "--contracts-examples=100", *items]
        )  # fmt: skip
    finally:
        settings.load_profile(profile)
    verdicts = {
        record["claim"]: record["verdict"] for record in json.loads(report.read_text())["items"]
    }
    assert verdicts == dict.fromkeys(mutant.killed_by, "FALSIFIED")
