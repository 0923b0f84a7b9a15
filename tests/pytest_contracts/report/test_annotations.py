"""GitHub annotations: on the line of the YAML, and nothing can smuggle in a command."""

from __future__ import annotations

from pathlib import Path

from pytest_contracts.ledger.records import Unread
from pytest_contracts.report.annotations import commands

from .conftest import MIXED, falsified, make_record, make_report


def test_failures_are_annotated_where_they_stand(project, monkeypatch):
    path = project.contract(MIXED)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = [line for line in project.run(examples=3).outlines if line.startswith("::")]
    assert len(lines) == 4
    line = project.line(path, "id: FALSIFY-SM-001")
    assert lines[0] == (
        f"::error file=contracts/kernels/softmax-v1.yaml,line={line},col=5,"
        "title=FALSIFIED%3A softmax-v1 FALSIFY-SM-001[reference]::softmax(x) > 1%0A"
        "failing: softmax(x) > 1%0Avalues: softmax([0.0]) > 1%0Aleft[0]: 1.0%0Aright[0]: 1%0A"
        "error: -0%0Areproduce: pytest --contracts=contracts "
        "'contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[reference]'"
    )


def test_elsewhere_nothing_is_annotated(project):
    project.contract(MIXED)
    assert "::error" not in project.run(examples=2).stdout.str()


def test_expected_failures_and_held_claims_are_not_annotated():
    known = falsified(outcome="xfailed", status="PROPOSED")
    assert list(commands(make_report(make_record(), known))) == []


def test_paths_start_at_the_workspace():
    report = make_report(falsified(), root=Path("/w/sub"), repository=Path("/w"))
    [line] = commands(report)
    assert line.startswith("::error file=sub/contracts/a-v1.yaml,line=3,col=5,title=")


def test_no_text_can_end_the_line_or_a_property(hostile_report):
    text = "x\r\n::set-env name=PATH::y%0A,line=9::"
    report = make_report(falsified(text, message=text), errors=[Unread("a,b:c.yaml", 2, text)])
    for line in [*commands(report), *commands(hostile_report)]:
        assert line.isprintable()
        head, _, message = line.removeprefix("::error ").partition("::")
        assert [part.partition("=")[0] for part in head.split(",")] == [
            "file",
            "line",
            "col",
            "title",
        ]
        assert message
