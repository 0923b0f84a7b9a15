"""Evidence: what held on a machine that others do not have, and whether it still counts.

A file of evidence is a slice of a ledger: the items that ran and were verified, the digest of what
each claim said, and the digests of the files that the verdicts rest on. It goes stale by itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from pytest_contracts.errors import ContractError
from pytest_contracts.ledger import sealed
from pytest_contracts.ledger.reading import StoredLedger
from pytest_contracts.ledger.records import SCHEMA as LEDGER_SCHEMA
from pytest_contracts.ledger.records import Record, text_digest
from pytest_contracts.ledger.verdict import Level, Verdict, level
from pytest_contracts.where import Where

SCHEMA = "pytest-contracts/evidence/1"


class EvidenceError(ContractError):
    """A file is no evidence: damaged, edited by hand, or of another kind."""


class Key(NamedTuple):
    """Which item evidence is about."""

    contract: str
    claim: str
    implementation: str | None
    parameters: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, contract: str, claim: str, implementation: str | None, parameters: Mapping[str, str]
    ) -> Key:
        """Return the key; the order of parameters does not matter."""
        return cls(contract, claim, implementation, tuple(sorted(parameters.items())))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One item that held elsewhere."""

    path: Path
    device: str
    date: str
    verdict: Verdict
    level: Level
    claim_digest: str
    files: Mapping[str, str]

    def changed(self, claim: str, digest: Callable[[str], str | None]) -> str | None:
        """Return what has changed since: the claim or the first such file; None for nothing."""
        if claim != self.claim_digest:
            return "the claim"
        return next((name for name, was in self.files.items() if digest(name) != was), None)

    def described(self) -> str:
        """Return device, day and file in one phrase."""
        return f"on {self.device}, {self.date[:10]} ({self.path.name})"

    def as_dict(self) -> dict[str, str]:
        """Return what the ledger says of it."""
        return {
            "device": self.device,
            "date": self.date,
            "file": self.path.name,
            "verdict": self.verdict.value,
        }


class EvidenceStore:
    """All evidence of a project."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._held: dict[Key, list[Evidence]] = defaultdict(list)
        for folder in folders:
            for path in sorted(folder.glob("*.json")):
                for key, evidence in read(path):
                    self._held[key].append(evidence)

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def about(self, key: Key) -> Sequence[Evidence]:
        """Return the evidence on one item, the latest first."""
        return sorted(self._held.get(key, ()), key=lambda e: e.date, reverse=True)


def read(path: Path) -> list[tuple[Key, Evidence]]:
    """Return what a file of evidence holds.

    Raises:
        EvidenceError: it cannot be read, is not of the schema, or is not what was written.
    """
    document = _document(path)
    if document.get("schema") == LEDGER_SCHEMA:
        raise _refusal(path, "this is a whole ledger, not evidence")
    fault = next(_validator().iter_errors(document), None)
    if fault is not None:
        place = "/".join(map(str, fault.absolute_path)) or "the document"
        raise _refusal(path, f"not evidence: {place}: {fault.message[:200]}")
    if document["digest"] != sealed.seal(document):
        raise _refusal(path, "not what was written: its digest does not fit its contents")
    found = []
    for item in document["items"]:
        verdict = Verdict(item["verdict"])
        bounded = item["level"] != Level.PROOF
        earned = level(
            item["kind"],
            verdict,
            examples=item["examples"],
            exhausted=item.get("exhausted", False),
            bounded=bounded,
        )
        unknown = [name for name in item["files"] if name not in document["files"]]
        if earned != item["level"] or unknown:
            what = f"{item['claim']} claims {item['level']}" if not unknown else f"no {unknown[0]}"
            raise _refusal(path, f"not evidence: {what}")
        key = Key.of(item["contract"], item["claim"], item["implementation"], item["parameters"])
        evidence = Evidence(
            path=path,
            device=document["device"],
            date=document["date"],
            verdict=verdict,
            level=earned,
            claim_digest=item["claim_digest"],
            files={name: document["files"][name] for name in item["files"]},
        )
        found.append((key, evidence))
    return found


def extract(
    ledger: StoredLedger, *, device: str | None = None, commit: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the evidence in a ledger, and what of it is none, one reason a line.

    ``device`` and ``commit`` stand in where the run did not record its own.

    Raises:
        EvidenceError: it says too little, or nothing in it is evidence.
    """
    run, files = ledger.document["run"], ledger.document.get("files")
    if cut := ledger.extent.cut:
        hint = "Run again, to the end."
        raise EvidenceError(f"no evidence: {cut}", where=Where(ledger.path, 1), hint=hint)
    if files is None:
        raise _refusal(ledger.path, "the ledger names no files: it is of an older version")
    device = device or run.get("device")
    if not device:
        raise EvidenceError(
            "the ledger does not say on what device it was made",
            where=Where(ledger.path, 1),
            hint="Name it with --device, or implement the hook pytest_contracts_device.",
        )
    items, refused = [], []
    for record in ledger.records:
        why = _unfit(record, files, frozenset(run.get("changed", ())))
        if why is None:
            items.append(_slice(record))
        elif record.kind != "gate":
            refused.append(f"{record.nodeid}: {why}")
    if not items:
        raise EvidenceError("nothing in the ledger is evidence", where=Where(ledger.path, 1))
    used = {name for item in items for name in item["files"]}
    document = {
        "schema": SCHEMA,
        "device": device,
        "date": run["started"],
        "commit": run.get("commit") or commit,
        "run": {key: run[key] for key in ("machine", "python", "versions") if key in run},
        "files": {name: files[name] for name in sorted(used)},
        "items": items,
    }
    document["digest"] = sealed.seal(document)
    return document, refused


def _unfit(record: Record, files: Mapping[str, Any], changed: frozenset[str]) -> str | None:
    verdict = Verdict(record.verdict)
    if record.run:
        return f"{record.verdict}, but in an earlier run"
    if record.kind == "gate" or not verdict.ran or verdict.refuted:
        return record.verdict
    if not record.files:
        return f"{record.verdict}, but no source file is known for what ran"
    known = [files.get(name) for name in record.files]
    data = [files.get(name) for name in record.opened]
    if (
        None in (*known, *data)
        or not changed.isdisjoint(record.rests_on)
        or record.sources.get("implementation") != text_digest([*record.files, *known])
        or (data and record.sources.get("opened") != text_digest([*record.opened, *data]))
    ):
        return f"{record.verdict}, but a source changed while the run went on"
    return None


def _slice(record: Record) -> dict[str, Any]:
    return {
        "contract": record.contract,
        "claim": record.claim,
        "kind": record.kind,
        "implementation": record.implementation,
        "parameters": dict(record.parameters),
        "verdict": record.verdict,
        "level": record.level,
        "examples": record.examples,
        "exhausted": record.exhausted,
        "compared": record.compared,
        "claim_digest": record.sources["formula"],
        "files": sorted({*record.rests_on}),
    }


def _document(path: Path) -> dict[str, Any]:
    try:
        return sealed.read(path)
    except sealed.UnreadableError as error:
        raise _refusal(path, str(error)) from None


def _refusal(path: Path, message: str) -> EvidenceError:
    hint = "Make it anew with `pv evidence LEDGER.json -o FILE`, or delete it."
    return EvidenceError(message, where=Where(path, 1), hint=hint)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    text = resources.files(__package__).joinpath("evidence.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))
