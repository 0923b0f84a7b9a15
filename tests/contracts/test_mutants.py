"""Every defect that a contract declares is planted, and what the contract names must notice it.

A mutant is planted into a copy of the engine, and the claims run as a user's would, in a fork of a
process that has never seen the healthy engine. Contracts and mutants are found, not listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_contracts.contract import Contract, Mutant, find_contracts, load
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import Judge, kill_row, planted_mutants, unkilled

ROOT = Path(__file__).parents[2]
CONTRACTS = [load(path) for path in find_contracts(ROOT / "contracts")]
WITH_MUTANTS = [contract for contract in CONTRACTS if planted_mutants(contract)]


DECLARED = [(contract, mutant) for contract in WITH_MUTANTS for mutant in planted_mutants(contract)]


INCIDENTS = {"INC-01", "INC-02", "INC-06", "INC-07", "INC-09", "INC-10", "INC-15"}
"""What happened to engines once, and must be planted by some contract."""


def name_of(value: Contract | Mutant) -> str:
    if isinstance(value, Contract):
        return value.name
    return f"{value.id}-{value.incident}" if value.incident else value.id


def named(contract: Contract) -> list[str]:
    """The claims that some mutant must be killed by."""
    return sorted({claim for m in planted_mutants(contract) for claim in m.killed_by})


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    patch = pytest.MonkeyPatch()
    patch.setenv("HYPOTHESIS_PROFILE", "ci")
    arguments = ["--contracts=contracts", "--contracts-model=tiny"]
    with Judge(ROOT, arguments, preload=["pytest_contracts.mutation.compiling"]) as judge:
        patch.undo()
        yield judge


@pytest.mark.parametrize(("contract", "mutant"), DECLARED, ids=name_of)
def test_every_named_claim_is_red(contract: Contract, mutant: Mutant, judge: Judge) -> None:
    row = kill_row(contract, mutant, judge)
    output = row.judgement.output
    assert not row.missed, f"{mutant.where}: {[cell.claim for cell in row.missed]}\n{output}"
    killed = [cell.claim for cell in row.cells if cell.killed]
    if not killed:
        pytest.skip(f"{', '.join(mutant.killed_by)} cannot run on this machine")
    assert row.judgement.exit_code == 1, output
    lines = {claim.id: claim.where.line for claim in contract.claims}
    for claim in killed:
        assert f"{contract.path.relative_to(ROOT)}:{lines[claim]}: FALSIFIED" in output, output
    assert re.search(r"counterexample|AssertionError|left|values|Error", output), output
    assert contract.qa_gate is not None
    if set(killed) & set(contract.qa_gate.checks):
        assert row.judgement.verdicts[contract.qa_gate.id] == (Verdict.FALSIFIED,), output


def test_the_recorded_incidents_are_declared() -> None:
    assert {mutant.incident for _, mutant in DECLARED} >= INCIDENTS


@pytest.mark.parametrize("contract", WITH_MUTANTS, ids=name_of)
def test_the_same_claims_hold_on_the_engine_as_it_is(contract: Contract, judge: Judge) -> None:
    """So the defects make them fall; how well they hold is for the contracts' own run to tell."""
    claims = named(contract)
    judgement = judge(contract, claims, examples=20)
    assert judgement.exit_code == 0, judgement.output
    for claim in claims:
        seen = set(judgement.verdicts[claim])
        assert seen, claim
        assert all(v in (Verdict.HELD, Verdict.CONFIRMED) or v.absent for v in seen), claim


@pytest.mark.parametrize("contract", WITH_MUTANTS, ids=name_of)
def test_every_claim_has_a_mutant_that_it_must_kill(contract: Contract) -> None:
    places = [f"{claim.where}: no mutant is killed by {claim.id}" for claim in unkilled(contract)]
    assert places == []


@pytest.mark.parametrize("contract", WITH_MUTANTS, ids=name_of)
def test_the_gate_checks_every_claim_that_needs_nothing_special(contract: Contract) -> None:
    assert contract.qa_gate is not None
    checked = set(contract.qa_gate.checks)
    unchecked = [c for c in contract.claims if c.id not in checked and not c.requires]
    assert [f"{claim.where}: {claim.id} is not in the gate's checks" for claim in unchecked] == []
