"""The tables of verdicts, outcomes and levels."""

from __future__ import annotations

import pytest

from pytest_contracts.ledger.verdict import Level, Outcome, Verdict, level, outcome, worst

PLAIN = {
    Verdict.HELD: Outcome.PASSED,
    Verdict.CONFIRMED: Outcome.PASSED,
    Verdict.FALSIFIED: Outcome.FAILED,
    Verdict.VACUOUS: Outcome.FAILED,
    Verdict.LOST: Outcome.SKIPPED,
    Verdict.INCONCLUSIVE: Outcome.XFAILED,
    Verdict.UNAVAILABLE: Outcome.SKIPPED,
    Verdict.EVIDENCED: Outcome.PASSED,
    Verdict.STALE: Outcome.SKIPPED,
    Verdict.PROSE: Outcome.SKIPPED,
}


@pytest.mark.parametrize("verdict", Verdict)
def test_active_claims(verdict):
    assert outcome(verdict) is PLAIN[verdict]


@pytest.mark.parametrize("verdict", Verdict)
def test_strict_lets_nothing_undecided_pass(verdict):
    undecided = verdict in (Verdict.INCONCLUSIVE, Verdict.PROSE, Verdict.LOST)
    assert outcome(verdict, strict=True) is (Outcome.FAILED if undecided else PLAIN[verdict])


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("status", ["PROPOSED", "VIOLATED"])
def test_expected_breaches(status, verdict):
    if verdict is Verdict.FALSIFIED:
        expected = Outcome.XFAILED
    elif verdict.verified:
        expected = Outcome.FAILED if status == "VIOLATED" else Outcome.XPASSED
    else:
        expected = PLAIN[verdict]
    assert outcome(verdict, status=status) is expected


def test_only_what_held_here_or_on_fresh_evidence_counts():
    assert {verdict for verdict in Verdict if verdict.verified} == {
        Verdict.HELD,
        Verdict.CONFIRMED,
        Verdict.EVIDENCED,
    }


@pytest.mark.parametrize(
    ("kind", "verdict", "examples", "bounded", "expected"),
    [
        ("falsification", Verdict.HELD, 0, True, "L2"),
        ("falsification", Verdict.HELD, 100, True, "L3"),
        ("obligation", Verdict.HELD, 100, True, "L3"),
        ("obligation", Verdict.HELD, 0, True, "L2"),
        ("harness", Verdict.CONFIRMED, 0, True, "L4"),
        ("harness", Verdict.CONFIRMED, 0, False, "L5"),
        ("harness", Verdict.INCONCLUSIVE, 0, True, "L1"),
        ("obligation", Verdict.FALSIFIED, 100, True, "L1"),
        ("obligation", Verdict.VACUOUS, 0, True, "L1"),
        ("obligation", Verdict.UNAVAILABLE, 0, True, "L1"),
        ("obligation", Verdict.PROSE, 0, True, "L0"),
    ],
)
def test_levels(kind, verdict, examples, bounded, expected):
    assert level(kind, verdict, examples=examples, bounded=bounded) is Level(expected)


def test_levels_are_ordered():
    assert sorted(Level) == list(Level)


def test_there_is_one_order_and_it_starts_with_what_calls_for_a_person():
    assert [verdict.rank for verdict in Verdict] == list(range(len(Verdict)))
    assert worst(Verdict) is Verdict.FALSIFIED
    assert worst([Verdict.CONFIRMED, Verdict.HELD]) is Verdict.HELD
    # What is refuted comes first, then what is undecided, then what is absent, then what counts.
    steps = [(v.refuted, not v.absent and not v.verified, v.absent) for v in Verdict]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_of_one_kind(verdict):
    assert sum([verdict.refuted, verdict.absent, verdict.verified]) <= 1
    assert not (verdict.ran and (verdict.absent or verdict is Verdict.EVIDENCED))
