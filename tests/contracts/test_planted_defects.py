"""Defects that contracts declare, planted into the engine's source and judged as a user would.

A whole pytest run in a process of its own judges a copy of the engine with one defect in it. Every
item that the contract names must be red, and the report must lead to the claim's line. The kernels,
the pipeline and the dispatch contract plant all of theirs in-process, beside their own tests.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import find_contracts, load
from pytest_contracts.contract.model import Contract, Mutant

ROOT = Path(__file__).parents[2]
WHOLE = ("formats", "model", "trace")
ALSO = {
    "adjacent-pairs-for-neox",
    "total-forgets-the-gpu",
    "ratio-divides-by-zero",
    "boundary-counted-twice",
}
INCIDENTS = {"INC-01", "INC-02", "INC-06", "INC-07", "INC-09", "INC-10", "INC-15"}


def declared() -> Iterator[tuple[Contract, Mutant]]:
    for path in find_contracts(ROOT / "contracts"):
        contract = load(path)
        for mutant in contract.qa_gate.mutants if contract.qa_gate else ():
            chosen = path.parent.name in WHOLE or mutant.id in ALSO
            if chosen and mutant.replace is not None:
                yield contract, mutant


def mutated_engine(contract: Contract, mutant: Mutant, folder: Path) -> Path:
    """Copy the engine into ``folder`` and put the defect into the copy."""
    target = mutant.target
    if ":" not in target:
        equation, implementation = target.split(".")
        target = contract.equation(equation).implementations[implementation]
    spec = importlib.util.find_spec(target.partition(":")[0])
    assert spec is not None
    assert spec.origin is not None
    # With what Numba has compiled, which it takes as long as a source is as old as it was.
    shutil.copytree(ROOT / "inference", folder / "inference")
    source = folder / Path(spec.origin).relative_to(ROOT)
    assert mutant.replace is not None
    old, new = mutant.replace
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {source}"
    source.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def judge(
    contract: Contract, claims: str, ledger: Path, engine: Path | None = None
) -> tuple[subprocess.CompletedProcess[str], dict[str, list[dict[str, Any]]]]:
    """Run the claims; return the finished process and the ledger's items by claim."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    environment["HYPOTHESIS_PROFILE"] = "ci"
    if engine is not None:
        environment["PYTHONPATH"] = str(engine)
    path = contract.path.relative_to(ROOT)
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "--tb=short"]
    command += ["--contracts=contracts", "--contracts-model=tiny", "-k", claims]
    command += [f"--contracts-report={ledger}", str(path)]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    items: dict[str, list[dict[str, Any]]] = {}
    for item in json.loads(ledger.read_text(encoding="utf-8"))["items"]:
        items.setdefault(item["claim"], []).append(item)
    return run, items


def test_the_recorded_incidents_are_declared() -> None:
    assert {mutant.incident for _, mutant in declared()} >= INCIDENTS


@pytest.mark.parametrize(
    ("contract", "mutant"),
    [
        pytest.param(c, m, id=f"{c.name}-{m.id}{f'-{m.incident}' if m.incident else ''}")
        for c, m in declared()
    ],
)
def test_every_named_claim_is_red(contract: Contract, mutant: Mutant, tmp_path: Path) -> None:
    engine = mutated_engine(contract, mutant, tmp_path)
    killers = " or ".join(mutant.killed_by)
    run, items = judge(contract, killers, tmp_path / "ledger.json", engine)
    assert run.returncode == 1, run.stdout + run.stderr
    lines = {claim.id: claim.where.line for claim in contract.claims}
    for killer in mutant.killed_by:
        verdicts = {item["verdict"] for item in items[killer]}
        assert "FALSIFIED" in verdicts, f"{killer}: {verdicts}\n{run.stdout}"
        place = f"{contract.path.relative_to(ROOT)}:{lines[killer]}: FALSIFIED"
        assert place in run.stdout, run.stdout
    assert re.search(r"counterexample|AssertionError|left|values|Error", run.stdout), run.stdout


@pytest.mark.parametrize("path", sorted({c.path for c, _ in declared()}), ids=lambda p: p.stem)
def test_the_same_claims_hold_on_the_engine_as_it_is(path: Path, tmp_path: Path) -> None:
    contract = load(path)
    claims = {k for c, m in declared() if c.path == path for k in m.killed_by}
    run, items = judge(contract, " or ".join(sorted(claims)), tmp_path / "ledger.json")
    assert run.returncode == 0, run.stdout + run.stderr
    verdicts = {item["verdict"] for claim in claims for item in items[claim]}
    assert verdicts <= {"HELD", "CONFIRMED"}
