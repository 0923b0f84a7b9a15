"""The ledger that stays in a project when only a part of its contracts was run.

As with pytest's record of the last failures, a run of everything replaces it, and a run of a part
brings its own items up to date and keeps the others. A record is kept only while all that its
verdict rests on is what it was, so that nothing counts as verified which the code as it is now has
not been through; and gates are decided again, from all records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_contracts.ledger.contradictions import contradicted, without_contradictions
from pytest_contracts.ledger.evidence import EvidenceStore, Key
from pytest_contracts.ledger.gates import decide, in_turn
from pytest_contracts.ledger.reading import StoredLedger
from pytest_contracts.ledger.records import End, Record, text_digest, write_json
from pytest_contracts.ledger.verdict import Verdict

_SURROUNDINGS = ("machine", "device", "python", "versions")
_Notice = Mapping[str, Any]


@dataclass(frozen=True)
class Present:
    """What records of an earlier run are held against.

    ``digest`` returns the SHA-256 of a file as it is now, None where there is none; ``evidence``
    is read only if a record needs it; ``strict`` is how gates are decided.
    """

    digest: Callable[[str], str | None]
    evidence: Callable[[], EvidenceStore]
    strict: bool


def begun(path: Path) -> None:
    """Let the ledger that stays say that a run has begun, until that run replaces it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["run"]["end"] = End.RUNNING.value
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return  # there is none, or none that a reader would take for one
    write_json(document, path)


def with_kept(
    document: Mapping[str, Any], earlier: StoredLedger, present: Present
) -> dict[str, Any]:
    """Return the ledger of a run of a part, with what still stands of an earlier ledger.

    Kept records say in ``run`` when the run began that they are from. Where the earlier run took
    place elsewhere (machine, device, versions), or a binding file has changed, nothing is kept.
    """
    if not _comparable(document, earlier, present):
        return dict(document)
    kept = {record.nodeid: record for record in _standing(earlier, present)}
    own = {item["nodeid"]: Record.from_dict(item) for item in document["items"]}
    # Of what the run was to judge and did not, an earlier verdict still stands.
    own = {n: r for n, r in own.items() if not (r.unheard and n in kept)}
    notices = {notice["nodeid"]: notice for notice in _notices(document, earlier, present)}
    records = without_contradictions({**kept, **own})
    for notice in in_turn(notices.values()):
        records[notice.nodeid] = decide(notice, records, strict=present.strict).record
    files = {name for record in kept.values() for name in (*record.rests_on, _path(record.where))}
    digests = {name: present.digest(name) for name in sorted(files)}
    run = {
        **document["run"],
        "unselected": _still_unselected(earlier, document, records),
        "uncollected": _still_uncollected(document, records),
    }
    if kept and earlier.extent.end is End.UNKNOWN:
        run["end"] = End.UNKNOWN.value
    return {
        **document,
        "run": run,
        "files": {**{k: v for k, v in digests.items() if v}, **document["files"]},
        "retired": _united(earlier.document.get("retired", ()), document["retired"], own),
        "gates": list(notices.values()),
        "items": [record.as_dict() for record in records.values()],
    }


def _comparable(document: Mapping[str, Any], earlier: StoredLedger, present: Present) -> bool:
    run, before = document["run"], earlier.document["run"]
    if any(run.get(key) != before.get(key) for key in _SURROUNDINGS):
        return False
    if not all("kind" in notice for notice in earlier.document.get("gates", ())):
        return False  # an older version wrote it
    files = earlier.document.get("files", {})
    named = {name for record in earlier.records for name in (*record.rests_on, _path(record.where))}
    return all(present.digest(name) == files[name] for name in files.keys() - named)


def _standing(earlier: StoredLedger, present: Present) -> Iterator[Record]:
    """Yield the records of an earlier run that would be the same now; gates are decided anew."""
    decided = {notice["nodeid"] for notice in earlier.document.get("gates", ())}
    for record in earlier.records:
        if record.nodeid not in decided and _stands(record, earlier, present):
            yield replace(record, run=record.run or earlier.started)


def _stands(record: Record, earlier: StoredLedger, present: Present) -> bool:
    if not _unchanged(record.where, earlier, present) or contradicted(record):
        return False
    if record.verdict == Verdict.EVIDENCED.value:
        return _evidenced(record, present)
    if not record.files:
        return not record.verified
    digests = map(present.digest, record.files)
    data = list(map(present.digest, record.opened))
    if data and record.sources.get("opened") != text_digest([*record.opened, *data]):
        return False
    return record.sources.get("implementation") == text_digest([*record.files, *digests])


def _unchanged(where: str, earlier: StoredLedger, present: Present) -> bool:
    """Tell whether the contract file at a place is what it was."""
    path = _path(where)
    was = earlier.document.get("files", {}).get(path)
    return was is not None and present.digest(path) == was


def _evidenced(record: Record, present: Present) -> bool:
    key = Key.of(record.contract, record.claim, record.implementation, record.parameters)
    claim = record.sources.get("formula", "")
    found = present.evidence().about(key)
    return any(evidence.changed(claim, present.digest) is None for evidence in found)


def _notices(
    document: Mapping[str, Any], earlier: StoredLedger, present: Present
) -> Iterator[_Notice]:
    """Yield the gates of both; one that both know asks for the items of both."""
    now = {notice["nodeid"]: notice for notice in document["gates"]}
    for notice in earlier.document.get("gates", ()):
        if _unchanged(notice["where"], earlier, present):
            newer = now.pop(notice["nodeid"], None)
            yield notice if newer is None else {**newer, "checks": _checks(notice, newer)}
    yield from now.values()


def _checks(one: _Notice, other: _Notice) -> dict[str, list[str]]:
    checks = {check: list(nodeids) for check, nodeids in one["checks"].items()}
    for check, nodeids in other["checks"].items():
        known = checks.setdefault(check, [])
        known += [nodeid for nodeid in nodeids if nodeid not in known]
    return checks


def _united(earlier: Any, now: Any, own: Mapping[str, Record]) -> list[Any]:
    """Return the retired claims of now, and of contracts that this run said nothing of."""
    spoken = {record.contract for record in own.values()}
    found = list(now)
    found += [e for e in earlier if e["contract"] not in spoken and e not in found]
    return found


def _still_unselected(
    earlier: StoredLedger, document: Mapping[str, Any], records: Mapping[str, Record]
) -> list[Any]:
    """Return what neither run selected; of a contract that this run read, it knows the items."""
    entries = list(document["run"]["unselected"])
    spoken = {entry["contract"] for entry in (*document["items"], *entries)}
    before = earlier.document["run"].get("unselected", ())
    entries += [entry for entry in before if entry["contract"] not in spoken]
    return [entry for entry in entries if entry["nodeid"] not in records]


def _still_uncollected(document: Mapping[str, Any], records: Mapping[str, Record]) -> list[str]:
    known = {_path(record.where) for record in records.values()}
    return [path for path in document["run"]["uncollected"] if path not in known]


def _path(where: str) -> str:
    return where.rsplit(":", 2)[0]
