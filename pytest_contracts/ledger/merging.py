"""Ledgers of several runs, each of a part, as one: what ``pv merge`` does.

Runs are merged only where they judged the same things: one version of the plugin, one commit, one
digest for every file and every claim. Gates and claims of completeness are decided again, from all
records; no verdict of theirs is taken over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_contracts.errors import ContractError
from pytest_contracts.ledger.contradictions import without_contradictions
from pytest_contracts.ledger.extent import Extent, counted
from pytest_contracts.ledger.gates import decide, in_turn
from pytest_contracts.ledger.levels import contract_level
from pytest_contracts.ledger.reading import StoredLedger
from pytest_contracts.ledger.records import SCHEMA, End, Record
from pytest_contracts.ledger.verdict import PROPERTY_EXAMPLES, Outcome, Verdict

_Held = tuple[Record, StoredLedger]
"""A record, and the ledger that it is from."""


class MergeError(ContractError):
    """Ledgers that do not speak of the same state of the code."""


@dataclass
class Merged:
    """The ledger of all runs, and where two of them disagreed."""

    document: dict[str, Any]
    records: tuple[Record, ...]
    conflicts: list[str] = field(default_factory=list)
    strict: bool = False

    @property
    def failed(self) -> tuple[Record, ...]:
        """The items that fail."""
        return tuple(r for r in self.records if r.outcome == Outcome.FAILED.value)

    @cached_property
    def extent(self) -> Extent:
        """How the runs ended, and what all of them left out."""
        return Extent.of(self.document, self.records)

    @property
    def lacking(self) -> bool:
        """Whether claims that are wanted have no verdict."""
        extent = self.extent
        left_out = extent.partial or extent.lost
        return bool(extent.cut or extent.unheard or (left_out and self.strict))


def merge(sources: Sequence[StoredLedger], *, strict: bool = False) -> Merged:
    """Return one ledger of several.

    An item of two ledgers keeps the worse verdict; where only one machine could run it, that one's.
    A claim that is LOST in one ledger has the verdict of another. ``strict`` is
    ``--contracts-strict`` for what is decided again, and asks that nothing was left out.

    Raises:
        MergeError: two ledgers judged different versions of something.
    """
    _refuse_older_versions(sources)
    _refuse_different_states(sources)
    notices = _notices(sources)
    records: dict[str, _Held] = {}
    conflicts: list[str] = []
    for source in sources:
        for record in source.records:
            if record.nodeid in notices:
                continue
            earlier = records.get(record.nodeid)
            if earlier is None:
                records[record.nodeid] = (record, source)
                continue
            _refuse_different_claims(earlier, (record, source))
            kept = min(earlier, (record, source), key=_badness)
            if conflict := _conflict(earlier, (record, source)):
                conflicts.append(f"{conflict}; kept {kept[0].verdict}")
            records[record.nodeid] = kept
    held = {nodeid: record for nodeid, (record, _) in records.items()}
    merged = without_contradictions(held)
    for record in _decided(notices, merged, strict):
        merged[record.nodeid] = record
    document = {
        "schema": SCHEMA,
        "run": {
            **_run([source.document["run"] for source in sources]),
            "end": _end(sources, merged.values()).value,
            "partial": False,
            "property_examples": PROPERTY_EXAMPLES,
            "unselected": _unselected(sources, merged.values()),
            "uncollected": _uncollected(sources, merged.values()),
        },
        "files": {k: v for source in sources for k, v in source.document.get("files", {}).items()},
        "retired": _distinct(sources, "retired"),
        "gates": list(notices.values()),
        "items": [record.as_dict() for record in merged.values()],
        "errors": _distinct(sources, "errors"),
    }
    return Merged(document, tuple(merged.values()), conflicts, strict)


def summary(merged: Merged) -> Iterator[str]:
    """Yield what a person wants to know of a merged ledger: levels, failures, disagreements."""
    contracts: dict[str, list[Record]] = {}
    for record in merged.records:
        contracts.setdefault(record.contract, []).append(record)
    for name, records in sorted(contracts.items()):
        counts = Counter(record.verdict for record in records)
        listed = ", ".join(f"{counts[v]} {v.lower()}" for v in Verdict if counts[v])
        level = contract_level(merged.extent.of_contract(name))
        yield f"{name}  {level}  {listed}"
    yield from merged.extent.sentences()
    if merged.extent.end is End.UNKNOWN:
        yield "one of the ledgers does not say whether its run came to its end"
    yield from (f"conflict: {text}" for text in merged.conflicts)
    yield from (f"not a contract: {e['path']}:{e['line']}" for e in merged.document["errors"])
    yield from (f"fails: {r.nodeid}: {r.verdict}: {r.message}" for r in merged.failed)
    verified, claims = counted(merged.extent.whole)
    yield f"{verified} of {claims} items verified"


def _badness(held: _Held) -> tuple[bool, bool, int, int]:
    """Return the key whose least is kept: what ran comes first, and of that the worst.

    Of two that could not run, the one that evidence stands in for; of two equal verdicts, the one
    that rests on more.
    """
    record = held[0]
    verdict = Verdict(record.verdict)
    elsewhere = _elsewhere(verdict)
    return elsewhere, elsewhere and not verdict.verified, verdict.rank, -record.examples


def _elsewhere(verdict: Verdict) -> bool:
    """Tell whether the machine that gave a verdict could not run the item."""
    return verdict.absent or verdict in (Verdict.EVIDENCED, Verdict.LOST)


def _conflict(one: _Held, other: _Held) -> str | None:
    verdicts = {Verdict(one[0].verdict), Verdict(other[0].verdict)}
    if len(verdicts) == 1 or any(map(_elsewhere, verdicts)):
        return None
    said = " and ".join(f"{record.verdict} in {source.path}" for record, source in (one, other))
    return f"{one[0].nodeid}: {said}"


def _refuse_older_versions(sources: Iterable[StoredLedger]) -> None:
    for source in sources:
        if "gates" not in source.document:
            raise MergeError(
                f"{source.path} does not say what its gates check",
                hint="An older version wrote it; run pytest again.",
            )


def _refuse_different_states(sources: Sequence[StoredLedger]) -> None:
    seen: dict[tuple[str, str], tuple[Any, Path]] = {}
    for source in sources:
        for what, name, value in _state(source.document):
            earlier = seen.setdefault((what, name), (value, source.path))
            if earlier[0] != value:
                raise MergeError(
                    f"{name} is not the same {what} in {earlier[1]} and {source.path}: "
                    f"{_short(earlier[0])} and {_short(value)}",
                    hint="A merged ledger speaks of one state of the code. Run both on the same.",
                )


def _state(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    run = document["run"]
    version = run.get("versions", {}).get("pytest-contracts")
    if version is not None:
        yield "version", "pytest-contracts", version
    if run.get("commit"):
        yield "commit", "the checkout", run["commit"]
    for name, digest in document.get("files", {}).items():
        yield "file", name, digest


def _refuse_different_claims(one: _Held, other: _Held) -> None:
    for what in ("formula", "implementation"):
        first, second = one[0].sources.get(what), other[0].sources.get(what)
        if first is not None and second is not None and first != second:
            raise MergeError(
                f"{one[0].nodeid} has another {what} in {one[1].path} than in {other[1].path}: "
                f"{_short(first)} and {_short(second)}",
                hint="A merged ledger speaks of one state of the code. Run both on the same.",
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 16 else f"{text[:12]}…"


def _notices(sources: Iterable[StoredLedger]) -> dict[str, dict[str, Any]]:
    """Return what is to be decided again, by node id; two notices of one gate must agree."""
    found: dict[str, dict[str, Any]] = {}
    for source in sources:
        for notice in source.document["gates"]:
            earlier = found.setdefault(notice["nodeid"], notice)
            if earlier["checks"] != notice["checks"]:
                raise MergeError(
                    f"{notice['nodeid']} checks other items in {source.path} than in another ledger"
                )
    return found


def _decided(
    notices: Mapping[str, Mapping[str, Any]], records: Mapping[str, Record], strict: bool
) -> Iterator[Record]:
    known = dict(records)
    try:
        in_order = in_turn(notices.values())
    except (TypeError, KeyError) as error:
        raise MergeError(f"a gate cannot be read: {error}") from None
    for notice in in_order:
        record = decide(notice, known, strict=strict).record
        known[record.nodeid] = record
        yield record


def _run(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the header of the whole: when the first began, how long all took together."""

    def several(key: str) -> str | None:
        values = dict.fromkeys(run[key] for run in runs if run.get(key))
        return ", ".join(map(str, values)) or None

    return {
        "started": min(run["started"] for run in runs),
        "duration_s": round(sum(run["duration_s"] for run in runs), 3),
        "machine": several("machine") or "",
        "device": several("device"),
        "commit": several("commit"),
        "python": several("python") or "",
        "versions": {k: v for run in runs for k, v in run.get("versions", {}).items()},
        "arguments": [word for run in runs for word in run.get("arguments", ())],
    }


def _end(sources: Iterable[StoredLedger], merged: Iterable[Record]) -> End:
    """Return how the runs ended, taken together: one that others made good does not matter."""
    judged = {record.nodeid for record in merged if not record.unheard}

    def made_good(extent: Extent) -> bool:
        lost = {record.nodeid for record in extent.unheard}
        return bool(lost) and lost <= judged

    left = {source.extent.end for source in sources if not made_good(source.extent)}
    return next((end for end in End if end in left - {End.COMPLETE}), End.COMPLETE)


def _unselected(sources: Iterable[StoredLedger], merged: Iterable[Record]) -> list[Any]:
    """Return the entries of what no run selected."""
    ran = {record.nodeid for record in merged}
    runs = [source.document["run"] for source in sources]
    found = {entry["nodeid"]: entry for run in runs for entry in run.get("unselected", ())}
    return [entry for nodeid, entry in found.items() if nodeid not in ran]


def _uncollected(sources: Iterable[StoredLedger], merged: Iterable[Record]) -> list[str]:
    """Return the contract files that no run read."""
    known = {record.where.rsplit(":", 2)[0] for record in merged}
    left = {path for source in sources for path in source.document["run"].get("uncollected", ())}
    return sorted(left - known)


def _distinct(sources: Iterable[StoredLedger], key: str) -> list[Any]:
    found: list[Any] = []
    for source in sources:
        found += [entry for entry in source.document.get(key, ()) if entry not in found]
    return found
