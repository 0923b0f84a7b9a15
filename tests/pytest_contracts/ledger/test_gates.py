"""Gates decided from records alone."""

from __future__ import annotations

import itertools

import pytest

from pytest_contracts.ledger.gates import GateNotice, decide, in_turn
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Verdict, worst


def record(name: str, verdict: Verdict, **changes) -> Record:
    values = {
        "nodeid": f"a.yaml::{name}",
        "contract": "a",
        "claim": name,
        "kind": "obligation",
        "implementation": None,
        "parameters": {},
        "verdict": verdict.value,
        "level": "L3" if verdict.verified else "L1",
        "examples": 1,
        "duration_s": 0.0,
        "where": "a.yaml:1:1",
        "message": "",
    }
    return Record(**{**values, **changes})


def notice(checks: dict[str, list[str]], **changes) -> GateNotice:
    values = {
        "nodeid": "a.yaml::GATE",
        "location": ("a.yaml", 0, "GATE"),
        "contract": "a",
        "gate": "GATE",
        "where": "a.yaml:1:1",
        "path": "a.yaml",
        "line": 1,
        "checks": checks,
        "reproduce": "pytest a.yaml",
    }
    return GateNotice(**{**values, **changes})


def decided(*verdicts: Verdict, strict: bool = False, **changes) -> Record:
    """Decide a gate over one check, of one item, for each verdict."""
    records = {f"a.yaml::C{i}": record(f"C{i}", verdict) for i, verdict in enumerate(verdicts)}
    checks = {f"C{i}": [f"a.yaml::C{i}"] for i in range(len(verdicts))}
    return decide(notice(checks, **changes), records, strict=strict).record


@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(Verdict, 2)))
def test_a_gate_has_the_worst_verdict_of_its_checks(pair):
    lowest = worst(pair)
    expected = Verdict.HELD if lowest.verified else lowest
    assert decided(*pair).verdict == decided(*reversed(pair)).verdict == expected


@pytest.mark.parametrize("verdict", Verdict)
def test_what_ran_to_a_verdict_is_enough_where_that_is_asked(verdict):
    ran = verdict.verified or verdict in (Verdict.FALSIFIED, Verdict.INCONCLUSIVE)
    expected = Verdict.HELD if ran else verdict
    if verdict is Verdict.PROSE:
        expected = Verdict.FALSIFIED
    assert decided(verdict, require="ran").verdict == expected


def test_a_missing_item_leaves_a_gate_undecided_unless_another_is_refuted():
    held = record("A", Verdict.HELD)
    gate = notice({"A": ["a.yaml::A", "a.yaml::B"]})
    assert decide(gate, {held.nodeid: held}, strict=False).record.message.startswith("A undecided")
    false = record("A", Verdict.FALSIFIED)
    assert decide(gate, {false.nodeid: false}, strict=False).record.verdict == "FALSIFIED"


def test_a_decision_tells_what_became_of_each_check():
    records = {r.nodeid: r for r in (record("A", Verdict.HELD), record("B", Verdict.FALSIFIED))}
    gate = notice({"A": ["a.yaml::A"], "B": ["a.yaml::B"]})
    decision = decide(gate, records, strict=False)
    assert decision.rows == [("A", "HELD"), ("B", "FALSIFIED (B)")]
    assert decision.record.outcome == "failed"


def test_completeness_comes_before_the_gates_that_may_check_it():
    gate, claim = notice({}), notice({}, nodeid="a.yaml::ALL", kind="obligation")
    ordered = in_turn([gate.as_dict(), claim.as_dict()])
    assert [found.nodeid for found in ordered] == ["a.yaml::ALL", "a.yaml::GATE"]
