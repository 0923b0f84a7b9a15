"""Proofs of what a run has refuted: neither is trusted, and the run fails.

A harness that is CONFIRMED contradicts an item of its obligation that is FALSIFIED, whatever the
status of the claim: a breach that is expected cannot be proved not to be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Outcome, Verdict, level

_HEAD = "contradiction: "


def without_contradictions(records: Mapping[str, Record]) -> dict[str, Record]:
    """Return the records by node id, each proof that another item contradicts made a failure.

    Such a proof becomes INCONCLUSIVE and failed, and says what contradicts it. What is FALSIFIED
    stays so. Items of one harness with other parameters do not contradict each other.
    """
    refuted: dict[tuple[str, str], list[Record]] = {}
    for record in records.values():
        about = _subject(record)
        if about is not None and record.verdict == Verdict.FALSIFIED.value:
            refuted.setdefault(about, []).append(record)
    settled = dict(records)
    for nodeid, record in records.items():
        about = _subject(record)
        if about is None or record.kind != "harness" or record.verdict != Verdict.CONFIRMED.value:
            continue
        against = [other for other in refuted.get(about, ()) if other.claim != record.claim]
        if against:
            settled[nodeid] = _distrusted(record, against[0])
    return settled


def contradicted(record: Record) -> bool:
    """Tell whether a record is of a proof that another item contradicts."""
    return record.verdict == Verdict.INCONCLUSIVE.value and record.message.startswith(_HEAD)


def _subject(record: Record) -> tuple[str, str] | None:
    """Return what an item is about: its contract, and its own claim or a harness's obligation."""
    claim = record.obligation if record.kind == "harness" else record.claim
    return None if claim is None or record.kind == "gate" else (record.contract, claim)


def _distrusted(record: Record, against: Record) -> Record:
    name = against.nodeid.rpartition("::")[2]
    return replace(
        record,
        verdict=Verdict.INCONCLUSIVE.value,
        level=level("harness", Verdict.INCONCLUSIVE).value,
        outcome=Outcome.FAILED.value,
        message=f"{_HEAD}CONFIRMED {record.message}, but {name} is FALSIFIED: one of them is "
        "wrong, or they are about different values",
    )
