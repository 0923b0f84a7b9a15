"""The verification ladder: an obligation's level is the highest reached and all below it."""

from __future__ import annotations

import pytest

from pytest_contracts.ledger.levels import claim_levels, contract_level, ladder
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level


def record(claim: str, kind: str, verdict: str, level: str, **changes: object) -> Record:
    values = {
        "nodeid": f"a.yaml::{claim}[{changes.get('implementation')}]",
        "contract": "a",
        "claim": claim,
        "kind": kind,
        "implementation": None,
        "parameters": {},
        "verdict": verdict,
        "level": level,
        "examples": 0,
        "duration_s": 0.0,
        "where": "a.yaml:1:1",
        "message": "",
    }
    return Record(**{**values, **changes})


PROPERTY = record("O", "obligation", "HELD", "L3")
CHECK = record("O", "obligation", "HELD", "L2")
BROKEN = record("O", "obligation", "FALSIFIED", "L1")
PROSE = record("O", "obligation", "PROSE", "L0")
TEST = record("F", "falsification", "HELD", "L2")
PROOF = record("K", "harness", "CONFIRMED", "L4", obligation="O")
UNBOUNDED = record("K", "harness", "CONFIRMED", "L5", obligation="O")
REFUTED = record("K", "harness", "FALSIFIED", "L1", obligation="O")
UNDECIDED = record("K", "harness", "INCONCLUSIVE", "L1", obligation="O")
ABSENT = record("O", "obligation", "UNAVAILABLE", "L1", implementation="cuda")
GATE = record("G", "gate", "FALSIFIED", "L1")


@pytest.mark.parametrize(
    ("records", "level"),
    [
        ([PROPERTY], "L3"),
        ([PROPERTY, CHECK], "L2"),
        ([PROPERTY, ABSENT], "L3"),
        ([PROPERTY, PROOF], "L4"),
        ([PROPERTY, UNBOUNDED], "L5"),
        ([CHECK, PROOF], "L2"),
        ([BROKEN, PROOF], "L1"),
        ([PROSE, PROOF], "L0"),
        ([PROPERTY, REFUTED], "L1"),
        ([PROPERTY, UNDECIDED], "L3"),
        ([PROPERTY, PROOF, record("K2", "harness", "INCONCLUSIVE", "L1", obligation="O")], "L3"),
        ([PROPERTY, record("K", "harness", "CONFIRMED", "L4", obligation="other")], "L3"),
    ],
)
def test_a_proof_lifts_an_obligation_only_from_the_level_below(records, level):
    assert claim_levels(records)["O"] == level


@pytest.mark.parametrize(
    ("records", "level"),
    [
        ([PROPERTY, TEST], "L3"),
        ([PROPERTY, TEST, GATE], "L3"),
        ([PROPERTY, PROOF, TEST], "L4"),
        ([PROPERTY, UNDECIDED, TEST], "L3"),
        ([PROPERTY, record("F", "falsification", "FALSIFIED", "L1")], "L1"),
        ([PROPERTY, record("F", "falsification", "VACUOUS", "L1")], "L1"),
        ([PROPERTY, record("F", "falsification", "PROSE", "L0")], "L0"),
        ([PROPERTY, REFUTED], "L1"),
        ([PROPERTY, record("K", "harness", "FALSIFIED", "L1")], "L1"),
        ([TEST], "L2"),
        ([record("F", "falsification", "HELD", "L3")], "L3"),
        ([PROOF], "L4"),
        ([ABSENT], "L1"),
        ([], "L1"),
    ],
)
def test_a_contract_has_the_highest_level_that_it_reached_with_all_below(records, level):
    assert contract_level(records) == level


def test_the_ladder_counts_the_claims_that_each_level_asks_about():
    other = record("P", "obligation", "HELD", "L2")
    rungs = ladder([PROPERTY, other, PROOF, TEST, GATE])
    assert [(rung.level, rung.reached, rung.claims) for rung in rungs] == [
        (Level.TYPED, 4, 4),
        (Level.TESTED, 3, 3),
        (Level.PROPERTY, 1, 2),
        (Level.BOUNDED_PROOF, 1, 2),
        (Level.PROOF, 0, 2),
    ]
    assert [rung.complete for rung in rungs] == [True, True, False, False, False]
