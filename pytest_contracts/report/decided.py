"""What pytest is told of a gate: first that it is there, after the run what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.ledger.gates import Decision, GateNotice
from pytest_contracts.ledger.verdict import Outcome
from pytest_contracts.report.failure import aligned, failure_repr
from pytest_contracts.where import Where


def announcement(notice: GateNotice, keywords: Iterable[str]) -> pytest.TestReport:
    """Return the passed set-up report that carries a gate to where it is decided."""
    report = _report(notice, "setup", "passed", None, keywords)
    report.contracts_gate = notice.as_dict()  # type: ignore[attr-defined]
    return report


def reports(notice: GateNotice, decision: Decision) -> list[pytest.TestReport]:
    """Return the reports that tell pytest of a decision."""
    # pytest writes the properties of the last report.
    properties = decision.record.properties
    last = _report(notice, "teardown", "passed", None, properties=properties)
    return [_call(notice, decision), last]


def _call(notice: GateNotice, decision: Decision) -> pytest.TestReport:
    where = Where(Path(notice.path), notice.line)
    shown = f"{decision.record.verdict}: {decision.record.message}"
    match Outcome(decision.record.outcome):
        case Outcome.FAILED:
            body = f"{aligned(decision.rows)}\n\n{aligned([('reproduce', notice.reproduce)])}"
            return _report(notice, "call", "failed", failure_repr(where, shown, body))
        case Outcome.SKIPPED:
            skipped = (str(where.path), where.line, f"Skipped: {shown}")
            return _report(notice, "call", "skipped", skipped)
        case Outcome.XFAILED:
            expected = _report(notice, "call", "skipped", (str(where.path), where.line, shown))
            expected.wasxfail = shown
            return expected
        case _:
            return _report(notice, "call", "passed", None)


def _report(
    notice: GateNotice,
    when: Any,
    result: Any,
    longrepr: Any,
    keywords: Iterable[str] = (),
    properties: Iterable[tuple[str, object]] = (),
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=notice.nodeid,
        location=notice.location,
        keywords=dict.fromkeys(keywords, 1),
        outcome=result,
        longrepr=longrepr,
        when=when,
        user_properties=list(properties),
    )
