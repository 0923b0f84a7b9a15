"""The report as SARIF 2.1.0: what calls for a person, at its line of the YAML.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0 plus Errata 01.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_contracts import __version__
from pytest_contracts.ledger.records import Record, json_text
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.report.report import Place, Report, Section, expected, failed
from pytest_contracts.report.text import visible

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"


def render(report: Report) -> str:
    """Return the log: a rule per claim, a result per item that is not verified.

    What could not run on this machine is a notification of the invocation, not a result.
    """
    rules: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for section in report.sections:
        for claim, records in section.claims.items():
            number = len(rules)
            rules.append(_rule(section, claim, records[0]))
            results += [_result(r, number, report) for r in records if _kind(r) is not None]
    run = {
        "tool": {
            "driver": {
                "name": "pytest-contracts",
                "semanticVersion": __version__,
                "rules": rules,
            }
        },
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(section: Section, claim: str, record: Record) -> dict[str, Any]:
    return {
        "id": visible(f"{section.name}/{claim}"),
        "shortDescription": {"text": visible(f"{record.kind} {claim} of {section.name}")},
        "properties": {"kind": record.kind, "contract": visible(section.name)},
    }


def _kind(record: Record) -> str | None:
    """Return the kind of an item's result, None where there is nothing to report.

    What failed is a failure whatever its verdict, as where a known breach holds again.
    """
    # §3.27.9: "open" is what could not be decided, "review" what a person has to look at.
    verdict = Verdict(record.verdict)
    if failed(record) or verdict.refuted:
        return "fail"
    if verdict in (Verdict.INCONCLUSIVE, Verdict.LOST):
        return "open"
    return "review" if verdict in (Verdict.STALE, Verdict.PROSE) else None


def _result(record: Record, rule: int, report: Report) -> dict[str, Any]:
    kind = _kind(record)
    result: dict[str, Any] = {
        "ruleId": visible(f"{record.contract}/{record.claim}"),
        "ruleIndex": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": _message(record, report)},
        "locations": [_location(Place.of(record.where), report)],
        "partialFingerprints": {
            "contractItem/v1": hashlib.sha256(visible(record.nodeid).encode()).hexdigest()
        },
        "properties": {
            "verdict": record.verdict,
            "contractLevel": record.level,
            "implementation": record.implementation and visible(record.implementation),
            "examples": record.examples,
            "reproduce": visible(report.reproduce(record)),
        },
    }
    if expected(record):
        known = f"The contract's status is {record.status}: it is known not to hold yet."
        result["suppressions"] = [
            {"kind": "inSource", "status": "accepted", "justification": known}
        ]
    return result


def _message(record: Record, report: Report) -> str:
    lines = [f"{record.verdict}: {record.nodeid.rpartition('::')[2]}: {record.message}"]
    lines += [f"{label}: {value}" for label, value in record.failure.items()]
    if record.counterexample:
        lines += ["counterexample:", record.counterexample]
    lines.append(f"reproduce: {report.reproduce(record)}")
    return visible("\n".join(lines))


def _location(place: Place, report: Report) -> dict[str, Any]:
    inside = report.in_repository(place.path)
    if inside is None:
        artifact = {"uri": (report.root / Path(place.path)).absolute().as_uri()}
    else:
        artifact = {"uri": quote(inside), "uriBaseId": ROOT}
    region = {"startLine": place.line, "startColumn": place.column}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _invocation(report: Report) -> dict[str, Any]:
    absent = [record for record in report.claims if record.verdict == Verdict.UNAVAILABLE.value]
    notes = [
        {
            "level": "error",
            "message": {"text": visible(error.message)},
            "locations": [_location(Place(error.path, error.line, 1), report)],
        }
        for error in report.errors
    ]
    notes += [
        {"level": "error" if report.extent.cut else "warning", "message": {"text": visible(text)}}
        for text in report.extent.sentences()
    ]
    notes += [
        {
            "level": "note",
            "message": {"text": visible(f"{record.nodeid} did not run: {record.message}")},
            "locations": [_location(Place.of(record.where), report)],
        }
        for record in absent
    ]
    return {
        "executionSuccessful": not (report.errors or report.extent.cut),
        "startTimeUtc": report.document["run"]["started"],
        "toolExecutionNotifications": notes,
    }
