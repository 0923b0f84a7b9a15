"""What changed since a previous run."""

from __future__ import annotations

import json

import pytest

from pytest_contracts.ledger.reading import LedgerError, read
from pytest_contracts.report.json_report import render
from pytest_contracts.report.trend import Trend

from .conftest import MIXED, falsified, make_record, make_report


def test_every_change_has_its_name(tmp_path):
    before = [
        make_record("STAYS"),
        make_record("BREAKS"),
        make_record("VANISHES"),
        make_record("GOES"),
        falsified("HEALS"),
        falsified("STAYS-BAD"),
    ]
    path = tmp_path / "before.json"
    path.write_text(render(make_report(*before)), "utf-8")
    now = [
        make_record("STAYS"),
        falsified("BREAKS"),
        make_record("VANISHES", verdict="UNAVAILABLE", outcome="skipped"),
        make_record("HEALS"),
        falsified("STAYS-BAD"),
        falsified("COMES"),
    ]
    trend = Trend.between(read(path), now)
    assert [(name, [r.claim for r in records]) for name, records in trend.groups] == [
        ("newly failing", ["BREAKS"]),
        ("no longer verified", ["VANISHES"]),
        ("fixed", ["HEALS"]),
        ("new", ["COMES"]),
        ("gone", ["GOES"]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read "),
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no ledger: "),
        ('{"schema": "other/1", "run": {}, "items": []}', "is no ledger: "),
    ],
)
def test_a_baseline_that_is_none_is_a_usage_error(project, text, message):
    project.contract(MIXED)
    if text is not None:
        (project.pytester.path / "before.json").write_text(text)
    result = project.run("--contracts-baseline=before.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --contracts-baseline: *{message}*"])


def test_a_bad_record_is_named_by_its_place(tmp_path):
    data = json.loads(render(make_report(make_record())))
    data["items"][0]["verdict"] = "GREEN"
    path = tmp_path / "before.json"
    path.write_text(json.dumps(data))
    with pytest.raises(LedgerError, match=r"is no ledger: \['items'\]\[0\]\['verdict'\]: 'GREEN'"):
        read(path)


def test_a_run_may_replace_the_report_that_it_is_compared_with(project):
    path = project.contract(MIXED)
    project.run("--contracts-report=r.json", examples=2)
    path.write_text(
        path.read_text("utf-8").replace("formal: softmax(x) > 1", "formal: softmax(x) ≥ 0")
    )
    arguments = [
        "--contracts-report=r.json",
        "--contracts-report=r.md",
        "--contracts-baseline=r.json",
    ]
    project.run(*arguments, examples=2)
    assert "**fixed:** 3" in (project.pytester.path / "r.md").read_text("utf-8")
    project.run(*arguments, examples=2)
    assert "**fixed:** 0" in (project.pytester.path / "r.md").read_text("utf-8")
