"""Incidents that shipped elsewhere, planted into the engine's source and judged as a user would.

A whole pytest run in a process of its own judges a copy of the engine with one defect in it. The
named item must be red, and the report must lead to the claim's line and show a counterexample.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_contracts.contract import find_contracts, load
from pytest_contracts.contract.model import Contract, Mutant

ROOT = Path(__file__).parents[2]
# One mutant for each incident, of those that contracts declare; the item that must fall.
PLANTED = {
    ("INC-01", "adjacent-nibbles"): "QS-EQV-001",
    ("INC-02", "scales-without-high-bits"): "QS-EQV-001",
    ("INC-06", "one-side-samples-the-last-token"): "FALSIFY-APR-GGUF-PARITY-007",
    ("INC-07", "product-clamped"): "AVGFP-SND-003",
    ("INC-09", "no-qkv-bias"): "FALSIFY-APR-GGUF-PARITY-008",
    ("INC-09", "adjacent-pairs-for-neox"): "FALSIFY-RP-003",
    ("INC-10", "zeros-at-the-end-only"): "FALSIFY-004",
    ("INC-15", "total-forgets-the-gpu"): "FALSIFY-KERN-001",
    ("INC-15", "ratio-divides-by-zero"): "kern-kani-001",
    ("INC-15", "boundary-counted-twice"): "FALSIFY-KERN-004",
}


def declared(mutant_id: str) -> tuple[Contract, Mutant]:
    for path in find_contracts(ROOT / "contracts"):
        contract = load(path)
        for mutant in contract.qa_gate.mutants if contract.qa_gate else ():
            if mutant.id == mutant_id:
                return contract, mutant
    raise AssertionError(f"no contract declares the mutant {mutant_id}")


def mutated_engine(contract: Contract, mutant: Mutant, folder: Path) -> Path:
    """Copy the engine into ``folder`` and put the defect into the copy."""
    target = mutant.target
    if ":" not in target:
        equation, implementation = target.split(".")
        target = contract.equation(equation).implementations[implementation]
    spec = importlib.util.find_spec(target.partition(":")[0])
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(
        ROOT / "inference", folder / "inference", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = folder / Path(spec.origin).relative_to(ROOT)
    assert mutant.replace is not None
    old, new = mutant.replace
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {source}"
    source.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def judge(contract: Contract, claim: str, engine: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    environment["HYPOTHESIS_PROFILE"] = "ci"
    if engine is not None:
        environment["PYTHONPATH"] = str(engine)
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-k", claim]
    command += [f"--contracts={contract.path.parent.relative_to(ROOT)}", "--contracts-model=tiny"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("mutant_id", "claim_id"), [pytest.param(m, c, id=f"{i}-{m}") for (i, m), c in PLANTED.items()]
)
def test_the_named_claim_is_red(mutant_id: str, claim_id: str, tmp_path: Path) -> None:
    contract, mutant = declared(mutant_id)
    assert claim_id in mutant.killed_by
    claim = next(claim for claim in contract.claims if claim.id == claim_id)
    run = judge(contract, claim_id, mutated_engine(contract, mutant, tmp_path))
    assert run.returncode == 1, run.stdout + run.stderr
    place = f"{contract.path.relative_to(ROOT)}:{claim.where.line}: FALSIFIED"
    assert place in run.stdout, run.stdout
    assert re.search(r"counterexample|AssertionError|left|values", run.stdout), run.stdout


def test_the_same_claims_hold_on_the_engine_as_it_is() -> None:
    by_contract: dict[Path, tuple[Contract, set[str]]] = {}
    for (_, mutant_id), claim in PLANTED.items():
        contract, _ = declared(mutant_id)
        by_contract.setdefault(contract.path, (contract, set()))[1].add(claim)
    for contract, claims in by_contract.values():
        run = judge(contract, " or ".join(sorted(claims)), None)
        assert run.returncode == 0, run.stdout + run.stderr
