"""What the whole run decides: quality gates, and claims of completeness, from records alone.

Nothing here knows pytest: a run decides its gates when the last report is in, and ``pv merge``
decides them again from the ledgers of several runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level, Outcome, Verdict, outcome, worst

if TYPE_CHECKING:
    from pytest_contracts.contract.model import ClaimKind, Status

Require = Literal["gate", "held", "ran", "bound"]
"""What each check must be: held where it can run (a gate), held, run, or nothing but listed."""
Rows = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class GateNotice:
    """A gate as it travels from the process that collected it; plain values only.

    ``checks`` are the node ids behind each check, ``unmet`` what is known to be amiss before;
    ``blocked`` says what a blocked claim waits for.
    """

    nodeid: str
    location: tuple[str, int | None, str]
    contract: str
    gate: str
    where: str
    path: str
    line: int
    checks: Mapping[str, list[str]]
    reproduce: str
    kind: ClaimKind = "gate"
    require: Require = "gate"
    status: Status = "ACTIVE"
    blocked: str = ""
    unmet: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


class Decision(NamedTuple):
    """A gate's record, and each of its checks with what became of it."""

    record: Record
    rows: Rows


def in_turn(notices: Iterable[Mapping[str, Any]]) -> list[GateNotice]:
    """Return notices in the order in which they are decided.

    A gate may check a claim of completeness, so these come first.
    """
    ordered = sorted(notices, key=lambda notice: bool(notice["kind"] == "gate"))
    return [GateNotice(**notice) for notice in ordered]


def decide(notice: GateNotice, records: Mapping[str, Record], *, strict: bool) -> Decision:
    """Return what became of a gate, given the records of a run by node id."""
    verdict, message, rows = _judge(notice, records)
    status = "PROPOSED" if _excused(notice, records, verdict) else notice.status
    record = Record(
        nodeid=notice.nodeid,
        contract=notice.contract,
        claim=notice.gate,
        kind=notice.kind,
        implementation=None,
        parameters={},
        verdict=verdict.value,
        level=_level(notice, records, verdict).value,
        examples=0,
        duration_s=0.0,
        where=notice.where,
        message=message,
        status=notice.status,
        outcome=outcome(verdict, status=status, strict=strict).value,
        compared=sum(record.verified for record in _of(notice, records)),
    )
    return Decision(record, rows)


def _excused(notice: GateNotice, records: Mapping[str, Record], verdict: Verdict) -> bool:
    """Tell whether nothing is amiss but claims that are expected to be falsified."""
    breaches = [r.outcome for r in _of(notice, records) if r.verdict == Verdict.FALSIFIED.value]
    if verdict is not Verdict.FALSIFIED or notice.unmet:
        return False
    return set(breaches) == {Outcome.XFAILED.value}


def _level(notice: GateNotice, records: Mapping[str, Record], verdict: Verdict) -> Level:
    if not verdict.verified:
        return Level.TYPED
    if notice.require in ("ran", "bound"):
        return Level.TESTED
    return min((Level(record.level) for record in _of(notice, records)), default=Level.TYPED)


def _of(notice: GateNotice, records: Mapping[str, Record]) -> list[Record]:
    nodeids: Iterable[str] = (nodeid for ids in notice.checks.values() for nodeid in ids)
    return [records[nodeid] for nodeid in nodeids if nodeid in records]


def _judge(notice: GateNotice, records: Mapping[str, Record]) -> tuple[Verdict, str, Rows]:
    """Return the gate's verdict: the worst of its checks'."""
    if notice.blocked:
        return Verdict.UNAVAILABLE, notice.blocked, []
    if notice.unmet:
        return Verdict.FALSIFIED, ", ".join(notice.unmet), [("unmet", w) for w in notice.unmet]
    if not notice.checks:
        return Verdict.VACUOUS, "there is nothing to check", []
    found = {c: _verdict_on(ids, records, notice.require) for c, ids in notice.checks.items()}
    rows = [(c, f"{verdict}{f' ({note})' if note else ''}") for c, (verdict, note) in found.items()]
    lowest = worst(verdict for verdict, _ in found.values())
    if not lowest.verified:
        named = ", ".join(check for check, (verdict, _) in found.items() if verdict is lowest)
        return lowest, f"{named} {_WORDS[lowest]}", rows
    held = f"{len(notice.checks)} {_SATISFIED[notice.require]}"
    notes = "; ".join(f"{check} {note}" for check, (_, note) in found.items() if note)
    return Verdict.HELD, f"{held}; {notes}" if notes else held, rows


_SATISFIED: Mapping[Require, str] = {
    "gate": "checks held",
    "held": "claims held",
    "ran": "claims ran",
    "bound": "equations have implementations",
}
_WORDS = {
    Verdict.FALSIFIED: "falsified",
    Verdict.VACUOUS: "vacuous",
    Verdict.LOST: "lost: nothing judged it",
    Verdict.PROSE: "not executable",
    Verdict.INCONCLUSIVE: "undecided or not run here",
    Verdict.STALE: "stale: what its evidence rests on has changed",
    Verdict.UNAVAILABLE: "unavailable on this machine",
}


def _verdict_on(
    nodeids: list[str], records: Mapping[str, Record], require: Require
) -> tuple[Verdict, str]:
    """Return the verdict on one check, and what is to be said of it."""
    if require == "bound":
        return Verdict.HELD, ""
    found = [records[nodeid] for nodeid in nodeids if nodeid in records]
    missing = [_label(nodeid) for nodeid in nodeids if nodeid not in records]
    absence = f"not run: {', '.join(missing)}" if missing else ""
    if require == "gate":
        return _check(found, absence)
    return _demand(found, absence, require)


def _check(found: list[Record], absence: str) -> tuple[Verdict, str]:
    """Return the verdict on one check: it holds if all of its items that can run here hold."""
    verdicts = {Verdict(record.verdict) for record in found}
    lowest = worst(verdicts) if verdicts else Verdict.INCONCLUSIVE
    if lowest.refuted:
        return lowest, ", ".join(_label(r.nodeid) for r in found if r.verdict == lowest.value)
    if absence or not found:
        return Verdict.INCONCLUSIVE, absence or "no items"
    if not (lowest.verified or lowest.absent):
        return lowest, ""
    if all(verdict.absent for verdict in verdicts):
        return lowest, found[0].message
    notes = {
        "without": [_label(r.nodeid) for r in found if Verdict(r.verdict).absent],
        "evidenced": [_label(r.nodeid) for r in found if r.verdict == Verdict.EVIDENCED.value],
    }
    verdict = verdicts.pop() if len(verdicts) == 1 else Verdict.HELD
    return verdict, "; ".join(
        f"{word} {', '.join(which)}" for word, which in notes.items() if which
    )


def _demand(found: list[Record], absence: str, require: Require) -> tuple[Verdict, str]:
    """Return the verdict on one claim of which every item must have held, or at least run."""
    unmet = [record for record in found if not _met(Verdict(record.verdict), require)]
    for record in unmet:
        verdict = Verdict(record.verdict)
        if verdict.refuted or verdict is Verdict.PROSE:
            said = Verdict.FALSIFIED if verdict is Verdict.PROSE else verdict
            return said, f"{_label(record.nodeid)} {verdict}"
    if absence or not found:
        return Verdict.INCONCLUSIVE, absence or "not collected"
    if not unmet:
        return Verdict.HELD, ""
    lowest = worst(Verdict(record.verdict) for record in unmet)
    first = next(record for record in unmet if record.verdict == lowest.value)
    return lowest, f"{_label(first.nodeid)}: {first.message}"


def _met(verdict: Verdict, require: Require) -> bool:
    ran = verdict.ran or verdict is Verdict.INCONCLUSIVE
    return verdict.verified or (require == "ran" and ran)


def _label(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]
