"""Ledgers read from files: the one reader, and the schema that it holds them to.

A baseline, ``pv merge``, ``pv evidence`` and ``pv proof-status`` all read a ledger here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_contracts.errors import ContractError
from pytest_contracts.ledger.extent import Extent
from pytest_contracts.ledger.records import Record


class LedgerError(ContractError):
    """A file cannot be read, or is no ledger of this version."""


@dataclass(frozen=True)
class StoredLedger:
    """A ledger as a file has it; its document keeps to the schema."""

    path: Path
    document: Mapping[str, Any]

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Its records, in the order of the file."""
        return tuple(Record.from_dict(item) for item in self.document["items"])

    @cached_property
    def extent(self) -> Extent:
        """How its run ended, and what that left out."""
        return Extent.of(self.document, self.records)

    @property
    def started(self) -> str:
        """When its run began, as ISO 8601 in UTC."""
        return str(self.document["run"]["started"])

    def by_nodeid(self) -> dict[str, Record]:
        """Return its records by node id."""
        return {record.nodeid: record for record in self.records}


def read(path: Path) -> StoredLedger:
    """Return the ledger in a file.

    Raises:
        LedgerError: it cannot be read, is no JSON, or does not keep to the schema.
    """
    document = _json(path)
    fault = _fault(document)
    if fault is not None:
        raise LedgerError(f"{path} is no ledger: {fault}")
    return StoredLedger(path, document)


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) of the ledger."""
    file = resources.files(__package__).joinpath("ledger.schema.json")
    return file.read_text(encoding="utf-8")


@cache
def schema() -> Any:
    """Return the schema as a mapping."""
    return json.loads(schema_text())


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{path} is no JSON: {error}") from None


def _fault(document: Any) -> str | None:
    """Return the place and the kind of the fault that says most, None where there is none."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    wrong = best_match(Draft202012Validator(schema()).iter_errors(document))
    if wrong is None:
        return None
    at = "".join(f"[{part!r}]" for part in wrong.absolute_path)
    return f"{at}{': ' if at else ''}{wrong.message:.200}"
