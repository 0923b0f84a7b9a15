"""Every defect that a contract declares is planted, and what the contract names must notice it.

A mutant is planted into a copy of the engine, and the claims run as a user's would, in a fork of a
process that has never seen the healthy engine. Contracts and mutants are found, not listed. What
came of it is kept in ``evidence/mutants``, and counts while nothing that it rests on has changed;
then it is judged here, and a tenth of the rows is judged in any case.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from pytest_contracts.contract import Contract, Mutant
from pytest_contracts.errors import ContractWarning
from pytest_contracts.ledger.evidence import EvidenceError
from pytest_contracts.mutation import Judge, unkilled
from pytest_contracts.mutation.digests import Digests
from pytest_contracts.mutation.kept import ABSENT, Kept, RowId, read
from pytest_contracts.mutation.outcome import complaints
from pytest_contracts.mutation.rota import code_digest, drawn
from pytest_contracts.mutation.rows import Rows
from tests.contracts.matrix import DECLARED, KEPT, ROOT, ROWS, WITH_MUTANTS, around, judge

INCIDENTS = {"INC-01", "INC-02", "INC-06", "INC-07", "INC-09", "INC-10", "INC-15"}
"""What happened to engines once, and must be planted by some contract."""
TOO_MANY = 1 / 5
"""Of the rows: so many stale ones cost more than it costs to renew them once for everybody."""


def name_of(value: Contract | Mutant) -> str:
    if isinstance(value, Contract):
        return value.name
    return f"{value.id}-{value.incident}" if value.incident else value.id


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    digests, now = Digests(ROOT), around()
    try:
        kept = read(KEPT, now, digests)
    except EvidenceError:  # one test says so; the others do without
        kept = Kept.nothing(now, digests)
    ids = [RowId.of(contract, mutant) for contract, mutant in ROWS]
    warn_of_stale(kept, ids)
    with ExitStack() as stack:

        @cache
        def started() -> Judge:
            return stack.enter_context(judge())

        yield Rows(kept, started, ROOT, drawn(ids, code_digest(ROOT / "inference")))


def warn_of_stale(kept: Kept, ids: list[RowId]) -> None:
    """Call for a renewal, in the summary and without failing."""
    reasons = [reason for row in ids if (reason := kept.stale(row)) not in ("", ABSENT)]
    if len(reasons) > TOO_MANY * len(ids):
        warnings.warn(
            f"{len(reasons)} of {len(ids)} recorded kills are stale ({reasons[0]}), and are judged "
            "in every run: run `python tools/renew_kills.py` and commit what it writes",
            ContractWarning,
            stacklevel=1,
        )


def test_what_is_kept_can_be_read() -> None:
    read(KEPT, {}, Digests(ROOT))


@pytest.mark.parametrize(("contract", "mutant"), DECLARED, ids=name_of)
def test_every_named_claim_is_red(contract: Contract, mutant: Mutant, rows: Rows) -> None:
    outcome = rows.outcome(contract, mutant)
    assert [*complaints(outcome, contract, mutant)] == [], outcome.output
    if not outcome.killed(mutant.killed_by):
        pytest.skip(f"{', '.join(mutant.killed_by)} cannot run on this machine")


def test_the_recorded_incidents_are_declared() -> None:
    assert {mutant.incident for _, mutant in DECLARED} >= INCIDENTS


@pytest.mark.parametrize("contract", WITH_MUTANTS, ids=name_of)
def test_the_same_claims_hold_on_the_engine_as_it_is(contract: Contract, rows: Rows) -> None:
    """So the defects make them fall; how well they hold is for the contracts' own run to tell."""
    outcome = rows.outcome(contract, None)
    assert [*complaints(outcome, contract, None)] == [], outcome.output


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
