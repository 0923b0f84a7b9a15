"""``--contracts-fail-under``: what is asked, what was reached, who lacks what."""

from __future__ import annotations

import pytest

from pytest_contracts.ledger.verdict import Level
from pytest_contracts.report.thresholds import Thresholds

from .conftest import GOOD, falsified, make_record, make_report


def test_thresholds_are_read_in_any_order():
    assert Thresholds.parse("binding=95,level=L3,verified=90") == Thresholds(95, Level.PROPERTY, 90)
    assert Thresholds.parse(" verified = 99.5 , level=l2") == Thresholds(
        verified=99.5, level=Level.TESTED
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no threshold: known are binding, level, verified"),
        ("coverage=90", "'coverage' is no threshold"),
        ("verified", "verified='': it is a percentage from 0 to 100"),
        ("verified=101", "verified='101'"),
        ("verified=0.9", "verified=0.9 is 0.9 percent; for 0.9 of all write verified=90"),
        ("verified=-1", "verified='-1'"),
        ("verified=nan", "verified='nan'"),
        ("verified=90%", "verified='90%'"),
        ("level=3", "level='3': it is one of L0, L1, L2, L3, L4, L5"),
        ("level=L6", "level='L6'"),
        ("level=L3,level=L2", "level is given twice"),
        ("level=L3,", "'' is no threshold"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_runs(project, text, message):
    project.contract(GOOD)
    result = project.run(f"--contracts-fail-under={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --contracts-fail-under: {message}" in result.stderr.str()
    assert not (project.pytester.path / ".contracts").exists()


def test_a_run_that_reaches_its_thresholds_passes(project):
    project.contract(GOOD)
    result = project.run("--contracts-fail-under=binding=100,level=L3,verified=100", examples=10)
    assert result.ret == pytest.ExitCode.OK
    assert "under the threshold" not in result.stdout.str()


def test_a_green_run_below_its_thresholds_fails_and_says_by_how_much(project):
    claims = GOOD + "  - {id: SM-SAF-001, type: safety, property: Nobody can execute this}"
    project.contract(claims, "one-v1")
    project.contract(GOOD, "two-v1")
    result = project.run("--contracts-fail-under=binding=95,level=L3,verified=90", examples=10)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line for line in result.outlines if line.startswith("under ")] == [
        "under the threshold: lowest level L0, 3 levels under L3: one-v1 (L0)",
        "under the threshold: 88.8 % of items verified (8 of 9), 1.1 under 90 %: one-v1 (1 of 5)",
    ]


def test_an_equation_counts_as_bound_only_if_it_ran(project):
    head = """
metadata: {version: 1.0.0, kind: kernel, description: D}
equations:
  twice:
    formula: twice(n) = 2 * n
    variables: {n: 1..9}
    implementations: {cpu: engine:double}
  away:
    formula: away(n) = n
    variables: {n: 1..9}
    implementations: {cuda: engine:far_away}
  bare:
    formula: bare(n) = n
    variables: {n: 1..9}
"""
    project.contract(
        """
        falsification_tests:
          - {id: A, rule: R, prediction: P, formal: twice(n) = 2 * n}
          - {id: B, rule: R, prediction: P, formal: away(n) = n}
        """,
        "n-v1",
        head=head,
    )
    result = project.run("--contracts-fail-under=binding=50", examples=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line for line in result.outlines if line.startswith("under ")] == [
        "under the threshold: 33.3 % of equations ran (1 of 3), 16.7 under 50 %: n-v1 (away, bare)"
    ]
    assert project.run("--contracts-fail-under=binding=33", examples=3).ret == pytest.ExitCode.OK


def test_a_run_of_nothing_reaches_nothing(project):
    project.contract(GOOD)
    result = project.run("--contracts-fail-under=level=L1,verified=1", "-k", "no_such_name")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "no contract ran, so none reached L1" in result.stdout.str()
    assert "0 % of items verified (0 of 4)" in result.stdout.str()


def test_many_contracts_are_not_all_named():
    records = [falsified(contract=f"c{i:02}") for i in range(40)]
    [line] = Thresholds(verified=50).missed(make_report(*records, make_record()))
    assert line.endswith("c11 (1 of 1), and 28 more")


def test_gates_are_no_claims():
    gate = falsified("G", kind="gate", implementation=None)
    assert (
        Thresholds(verified=100, level=Level.PROPERTY).missed(make_report(make_record(), gate))
        == []
    )
