"""The JSON report keeps to the schema that the package ships."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from jsonschema import Draft202012Validator

from pytest_contracts.ledger.reading import schema
from pytest_contracts.ledger.records import Ledger, Record, Unread
from pytest_contracts.ledger.verdict import Level, Outcome, Verdict
from pytest_contracts.report.json_report import render

from .conftest import MIXED, falsified, make_record, make_report


def errors(data):
    return [error.message for error in Draft202012Validator(schema()).iter_errors(data)]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema())


def test_the_schema_names_every_field_and_word():
    record = schema()["$defs"]["record"]["properties"]
    assert list(record) == [field.name for field in fields(Record)]
    assert set(Verdict) <= set(record["verdict"]["enum"])
    assert record["level"]["enum"] == list(Level)
    assert set(record["outcome"]["enum"]) == {*Outcome, ""}
    assert list(schema()["properties"]) == list(Ledger().as_dict())
    assert list(schema()["$defs"]["error"]["properties"]) == [f.name for f in fields(Unread)]


def test_a_run_keeps_to_the_schema(project):
    project.contract(MIXED)
    (project.pytester.path / "contracts" / "bad.yaml").write_text("metadata: [")
    project.run("--contracts-report=r.json", examples=3)
    data = json.loads((project.pytester.path / "r.json").read_text("utf-8"))
    assert errors(data) == []
    assert {item["kind"] for item in data["items"]} == {"obligation", "falsification", "gate"}
    assert [error["path"] for error in data["errors"]] == ["contracts/bad.yaml"]


def test_what_a_falsified_claim_says_is_in_its_record(project):
    project.contract(MIXED)
    project.run(examples=3)
    failed = project.ledger()["FALSIFY-SM-001[cpu]"]
    assert failed["failure"]["failing"] == "softmax(x) > 1"
    assert failed["counterexample"].splitlines() == ["n: 1", "x: [0.0]"]
    assert failed["formulas"] == ["softmax(x) > 1"]
    assert project.ledger()["FALSIFY-SM-002[cpu]"]["failure"]["failing"] == "softmax(x) > 2"
    held = project.ledger()["SM-EQV-001[cpu]"]
    assert (held["failure"], held["counterexample"]) == ({}, "")
    assert held["formulas"] == ["softmax(x) ≈ definition(x)"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("verdict", "GREEN"), ("level", "L9"), ("examples", -1), ("where", "a.yaml"), ("ran", [])],
)
def test_the_schema_refuses_what_is_no_record(key, value):
    data = json.loads(render(make_report(make_record())))
    assert errors(data) == []
    data["items"][0][key] = value
    assert len(errors(data)) == 1


def test_lone_surrogates_are_written_as_escapes():
    text = render(make_report(falsified(message="a\ud800b")))
    assert json.loads(text.encode())["items"][0]["message"] == "a\ud800b"
