"""The ledger as a JSON file, and the schema it keeps to."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from pytest_contracts.ledger.records import json_text
from pytest_contracts.report.report import Report


def render(report: Report) -> str:
    """Return the ledger."""
    return json_text(report.document)


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) of the ledger."""
    return (
        resources.files("pytest_contracts.ledger")
        .joinpath("ledger.schema.json")
        .read_text(encoding="utf-8")
    )


@cache
def schema() -> Any:
    """Return the schema as a mapping."""
    return json.loads(schema_text())
