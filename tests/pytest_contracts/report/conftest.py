"""Records and reports made by hand, and a contract with every verdict for runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.ledger.reading import StoredLedger
from pytest_contracts.ledger.records import Ledger, Record, Unread
from pytest_contracts.report.report import Report

HOSTILE = "</script><img src=x onerror=alert(1)>\"'`|@all $x$ \u202egnp.exe\x1b[31m"
"""A text that would run, break out, mislead or colour where it is not escaped."""

MIXED = """
proof_obligations:
  - id: SM-INV-001
    type: invariant
    property: Output sums to one
    formal: "|Σ softmax(x) − 1| < ε"
    tolerance: 1.0e-6
  - id: SM-EQV-001
    type: equivalence
    property: Every implementation computes the definition
    tolerance: 8
    tolerance_kind: ulp
  - {id: SM-SAF-001, type: safety, property: Nobody can execute this}
falsification_tests:
  - id: FALSIFY-SM-001
    rule: Never
    prediction: A weight exceeds one
    formal: softmax(x) > 1
    if_fails: Weights are shares
  - id: FALSIFY-SM-002
    rule: Soon
    prediction: A weight exceeds two
    formal: softmax(x) > 2
    status: PROPOSED
  - {id: FALSIFY-SM-003, rule: Name, prediction: It names nothing, formal: softmax(unknown) > 1}
qa_gate: {id: F-SM-001, checks: [SM-INV-001, FALSIFY-SM-001]}
"""
"""Claims of nearly every verdict, for the head of a contract on softmax."""

GOOD = MIXED.partition("  - {id: SM-SAF")[0]
"""The claims among them that hold."""


def make_record(claim: str = "A", **changes: Any) -> Record:
    """A record that is valid by the ledger's schema."""
    implementation = changes.get("implementation", "cpu")
    contract = changes.get("contract", "a-v1")
    values = {
        "nodeid": f"contracts/{contract}.yaml::{claim}[{implementation}]",
        "contract": contract,
        "claim": claim,
        "kind": "obligation",
        "implementation": implementation,
        "parameters": {},
        "verdict": "HELD",
        "level": "L3",
        "examples": 5,
        "duration_s": 0.1,
        "where": f"contracts/{contract}.yaml:3:5",
        "message": "",
        "outcome": "passed",
        "compared": 7,
    }
    return Record(**{**values, **changes})


def make_report(*records: Record, root: Path = Path("/project"), **changes: Any) -> Report:
    """A report of some records."""
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    ledger.errors += changes.pop("errors", ())
    values: dict[str, Any] = {
        "document": ledger.as_dict(),
        "records": ledger.records,
        "errors": tuple(ledger.errors),
        "root": root,
        "repository": root,
    }
    return Report(**{**values, **changes})


def stored(started: str, *records: Record) -> StoredLedger:
    """The ledger of an earlier run."""
    document = {**Ledger().as_dict(), "items": [record.as_dict() for record in records]}
    document["run"]["started"] = started
    return StoredLedger(Path("before.json"), document)


def falsified(claim: str = "B", **changes: Any) -> Record:
    """The record of a falsified claim."""
    values = {
        "verdict": "FALSIFIED",
        "level": "L1",
        "outcome": "failed",
        "message": "f(x) > 1",
        "failure": {"failing": "f(x) > 1", "left": "0.5"},
        "counterexample": "n: 1\nx: [0.0]",
    }
    return make_record(claim, **{**values, **changes})


@pytest.fixture
def hostile_report() -> Report:
    """A report whose every text that a contract can choose is hostile."""
    return make_report(
        falsified(
            claim=f"A{HOSTILE}",
            contract=f"c{HOSTILE}",
            nodeid=f"contracts/c.yaml::A{HOSTILE}[{HOSTILE}]",
            implementation=HOSTILE,
            parameters={HOSTILE: HOSTILE},
            where=f"contracts/{HOSTILE}.yaml:3:5",
            message=f"{HOSTILE}\n# {HOSTILE}",
            failure={HOSTILE: f"{HOSTILE}\n```\n{HOSTILE}"},
            counterexample=f"x: {HOSTILE}\n```",
            ran={HOSTILE: HOSTILE},
            formulas=[HOSTILE],
        ),
        make_record(f"U{HOSTILE}", verdict="UNAVAILABLE", outcome="skipped", message=HOSTILE),
        errors=[Unread(f"{HOSTILE}.yaml", 2, HOSTILE)],
        thresholds=[HOSTILE],
    )
