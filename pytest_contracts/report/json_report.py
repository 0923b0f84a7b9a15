"""The ledger as a JSON file."""

from __future__ import annotations

from pytest_contracts.ledger.records import json_text
from pytest_contracts.report.report import Report


def render(report: Report) -> str:
    """Return the ledger."""
    return json_text(report.document)
