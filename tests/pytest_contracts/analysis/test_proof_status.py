"""``pv proof-status``: what is declared beside what a run achieved."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app

HEAD = """
metadata: {version: 1.0.0, kind: kernel, description: A contract}
equations:
  double:
    formula: double(n) = 2 * n
    variables: {n: 0..9}
    implementations: {cpu: "engine:double"}
proof_obligations:
"""
CLAIMS = """
  - {id: D-INV-001, type: invariant, property: P, formal: double(n) = 2 * n, level: L3}
  - {id: D-INV-002, type: invariant, property: P, formal: double(n) ≥ n, level: L4}
  - {id: D-INV-003, type: invariant, property: P, formal: double(n) ≥ n}
  - {id: D-INV-004, type: invariant, property: P, formal: double(n) ≥ n, level: L3, status: RETIRED}
"""


def run(tmp_path, *arguments):
    return CliRunner().invoke(app, ["proof-status", *map(str, arguments)])


@pytest.fixture
def ledger(project):
    def made(claims=CLAIMS, *options):
        project.contract(claims, "double-v1", head=HEAD)
        project.run(*options, examples=10)
        return project.pytester.path / ".contracts" / "ledger.json"

    return made


def test_what_was_achieved_stands_beside_what_is_declared(ledger, project):
    result = run(project, ledger(), project.pytester.path / "contracts")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "double-v1  L3",
        "  D-INV-001  declared L3, achieved L3",
        "  D-INV-002  declared L4, achieved L3, under",
        "2 declared, 1 under",
    ]


def test_all_reached_is_success(ledger, project):
    result = run(project, ledger(CLAIMS.replace("L4", "L2")), project.pytester.path / "contracts")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "2 declared, 0 under")


def test_a_claim_that_did_not_run_is_under(ledger, project):
    path = ledger(CLAIMS.replace("L4", "L2"), "-k", "INV-001")
    result = run(project, path, project.pytester.path / "contracts" / "double-v1.yaml")
    assert result.exit_code == 1
    assert "  D-INV-002  declared L2, achieved not run, under" in result.output


def test_a_claim_that_cannot_run_here_says_nothing(ledger, project):
    ledger()
    data = json.loads((project.pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    for item in data["items"]:
        item["verdict"] = "UNAVAILABLE"
    path = project.pytester.path / "away.json"
    path.write_text(json.dumps(data), "utf-8")
    result = run(project, path, project.pytester.path / "contracts")
    assert result.exit_code == 0
    assert "achieved unavailable on the machine of the run\n" in result.output


def test_a_falsified_claim_falls_to_l1(ledger, project):
    path = ledger(CLAIMS.replace("double(n) = 2 * n", "double(n) = 3 * n"))
    result = run(project, path, project.pytester.path / "contracts")
    assert "  D-INV-001  declared L3, achieved L1, under" in result.output


def test_wrong_usage_has_exit_code_2(tmp_path):
    (tmp_path / "contracts").mkdir()
    other = tmp_path / "other.json"
    other.write_text("{}")
    for path in (other, tmp_path / "absent.json"):
        result = run(tmp_path, path, tmp_path / "contracts")
        assert result.exit_code == 2
    assert run(tmp_path, other, tmp_path / "nowhere").exit_code == 2


def test_a_contract_that_is_none_is_named(ledger, project):
    path = ledger()
    bad = project.pytester.path / "contracts" / "bad.yaml"
    bad.write_text("metadata: [")
    result = run(project, path, project.pytester.path / "contracts")
    assert result.exit_code == 1
    assert "bad.yaml" in result.output
