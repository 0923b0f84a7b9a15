"""What the whole run decides: quality gates, and claims of completeness.

A gate cannot be decided by the process that happens to collect it, since under xdist the claims it
checks run elsewhere. So its item only announces itself (one passed set-up report that carries the
gate), and the process that hears all reports decides it once the last one is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_contracts.contract.model import ClaimKind, Contract, QaGate, Status
from pytest_contracts.items.claim_item import place
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level, Outcome, Verdict, outcome
from pytest_contracts.report.failure import failure_repr, reproduce_command, table
from pytest_contracts.report.paths import relative
from pytest_contracts.where import Where

Require = Literal["gate", "held", "ran", "bound"]
"""What each check must be: held where it can run (a gate), held, run, or nothing but listed."""


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


class DecidedLast(pytest.Item):
    """An item whose verdict comes after the run; ``turn`` orders them among each other."""

    turn = 1

    def __init__(self, *, contract: Contract, where: Where, marker: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.contract = contract
        self.where = where
        self.add_marker(marker)
        self.add_marker(pytest.mark.contract(contract.name))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the claim in its file, zero-based."""
        return self.path, self.where.line - 1, f"{self.contract.name}::{self.name}"

    def runtest(self) -> None:
        """Do nothing: ``pytest_runtest_protocol`` never gets here."""
        raise AssertionError("it is decided after the run")

    def notice(self) -> GateNotice:
        """Return what is to be decided."""
        raise NotImplementedError

    def described(self, checks: Mapping[str, list[str]], **more: Any) -> GateNotice:
        """Return the notice of this item with its checks."""
        return GateNotice(
            nodeid=self.nodeid,
            location=self.location,
            contract=self.contract.name,
            gate=self.name,
            where=place(self.where, self.config.rootpath),
            path=str(relative(self.where.path, self.config)),
            line=self.where.line,
            checks=checks,
            reproduce=reproduce_command(self.path, "", self.config),
            **more,
        )

    def announce(self) -> pytest.TestReport:
        """Return the set-up report that carries the gate to where it is decided."""
        notice = self.notice()
        report = _report(notice, "setup", "passed", None, self.keywords)
        report.contracts_gate = notice.as_dict()  # type: ignore[attr-defined]
        return report


class GateItem(DecidedLast):
    """A contract's quality gate."""

    turn = 2

    def __init__(
        self, *, contract: Contract, gate: QaGate, by_claim: Mapping[str, list[str]], **kwargs: Any
    ) -> None:
        super().__init__(contract=contract, where=gate.where, marker="gate", **kwargs)
        self.gate = gate
        self.by_claim = by_claim

    def notice(self) -> GateNotice:
        """Return the gate with the items of its checks."""
        return self.described(
            {check: list(self.by_claim.get(check, ())) for check in self.gate.checks}
        )


def in_turn(notices: Iterable[Mapping[str, Any]]) -> list[GateNotice]:
    """Return notices in the order in which they are decided.

    A gate may check a claim of completeness, so these come first.
    """
    ordered = sorted(notices, key=lambda notice: bool(notice["kind"] == "gate"))
    return [GateNotice(**notice) for notice in ordered]


def decide(
    notice: GateNotice, records: Mapping[str, Record], *, strict: bool
) -> tuple[Record, list[pytest.TestReport]]:
    """Return a gate's record and the reports that tell pytest of it."""
    verdict, message, rows = _judge(notice, records)
    status = "PROPOSED" if _excused(notice, records, verdict) else notice.status
    decided = outcome(verdict, status=status, strict=strict)
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
        outcome=decided.value,
        compared=sum(record.verified for record in _of(notice, records)),
    )
    where = Where(Path(notice.path), notice.line)
    shown = f"{verdict}: {message}"
    match decided:
        case Outcome.FAILED:
            body = "\n\n".join([table(rows), table([("reproduce", notice.reproduce)])])
            call = _report(notice, "call", "failed", failure_repr(where, shown, body))
        case Outcome.SKIPPED:
            skipped = (str(where.path), where.line, f"Skipped: {shown}")
            call = _report(notice, "call", "skipped", skipped)
        case Outcome.XFAILED:
            call = _report(notice, "call", "skipped", (str(where.path), where.line, shown))
            call.wasxfail = shown
        case _:
            call = _report(notice, "call", "passed", None)
    # pytest writes the properties of the last report.
    last = _report(notice, "teardown", "passed", None, properties=record.properties)
    return record, [call, last]


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


def _judge(
    notice: GateNotice, records: Mapping[str, Record]
) -> tuple[Verdict, str, list[tuple[str, str]]]:
    """Return the gate's verdict: the worst of its checks'."""
    if notice.blocked:
        return Verdict.UNAVAILABLE, notice.blocked, []
    rows: list[tuple[str, str]] = [("unmet", what) for what in notice.unmet]
    if notice.unmet:
        return Verdict.FALSIFIED, ", ".join(notice.unmet), rows
    if not notice.checks:
        return Verdict.VACUOUS, "there is nothing to check", rows
    worst: dict[Verdict, list[str]] = {}
    absent: list[str] = []
    for check, nodeids in notice.checks.items():
        if notice.require == "gate":
            verdict, note = _check(nodeids, records)
        else:
            verdict, note = _demand(nodeids, records, notice.require)
        rows.append((check, f"{verdict}{f' ({note})' if note else ''}"))
        worst.setdefault(verdict, []).append(check)
        if verdict.verified and note:
            absent.append(f"{check} {note}")
    for verdict in (
        Verdict.FALSIFIED,
        Verdict.VACUOUS,
        Verdict.PROSE,
        Verdict.INCONCLUSIVE,
        Verdict.STALE,
        Verdict.UNAVAILABLE,
    ):
        if verdict in worst:
            return verdict, f"{', '.join(worst[verdict])} {_WORDS[verdict]}", rows
    held = f"{len(notice.checks)} {_SATISFIED[notice.require]}"
    return Verdict.HELD, f"{held}; {'; '.join(absent)}" if absent else held, rows


_SATISFIED: Mapping[Require, str] = {
    "gate": "checks held",
    "held": "claims held",
    "ran": "claims ran",
    "bound": "equations have implementations",
}
_WORDS = {
    Verdict.FALSIFIED: "falsified",
    Verdict.VACUOUS: "vacuous",
    Verdict.PROSE: "not executable",
    Verdict.INCONCLUSIVE: "undecided or not run here",
    Verdict.STALE: "stale: what its evidence rests on has changed",
    Verdict.UNAVAILABLE: "unavailable on this machine",
}


_ABSENT = (Verdict.STALE, Verdict.UNAVAILABLE)


def _check(nodeids: list[str], records: Mapping[str, Record]) -> tuple[Verdict, str]:
    """Return the verdict on one check: it holds if all of its items that can run here hold."""
    found = [records[nodeid] for nodeid in nodeids if nodeid in records]
    verdicts = {Verdict(record.verdict) for record in found}
    for verdict in (Verdict.FALSIFIED, Verdict.VACUOUS):
        if verdict in verdicts:
            failing = [_label(r.nodeid) for r in found if r.verdict == verdict.value]
            return verdict, ", ".join(failing)
    missing = [_label(nodeid) for nodeid in nodeids if nodeid not in records]
    if missing or not nodeids:
        return Verdict.INCONCLUSIVE, f"not run: {', '.join(missing)}" if missing else "no items"
    for verdict in (Verdict.PROSE, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict, ""
    if all(verdict.absent for verdict in verdicts):
        return min(verdicts, key=_ABSENT.index), found[0].message
    notes = [
        f"{word} {', '.join(labels)}"
        for word, which in (("without", _ABSENT), ("evidenced", (Verdict.EVIDENCED,)))
        if (labels := [_label(r.nodeid) for r in found if r.verdict in which])
    ]
    verdict = verdicts.pop() if len(verdicts) == 1 else Verdict.HELD
    return verdict, "; ".join(notes)


def _demand(
    nodeids: list[str], records: Mapping[str, Record], require: Require
) -> tuple[Verdict, str]:
    """Return the verdict on one claim of which every item must have held, or at least run."""
    if require == "bound":
        return Verdict.HELD, ""
    found = [records[nodeid] for nodeid in nodeids if nodeid in records]
    missing = [_label(nodeid) for nodeid in nodeids if nodeid not in records]
    for record in found:
        verdict = Verdict(record.verdict)
        ran = verdict in _RAN and require == "ran"
        if not (ran or verdict.verified or verdict.absent or verdict is Verdict.INCONCLUSIVE):
            worst = Verdict.FALSIFIED if verdict is Verdict.PROSE else verdict
            return worst, f"{_label(record.nodeid)} {verdict}"
    if missing or not nodeids:
        return (
            Verdict.INCONCLUSIVE,
            f"not run: {', '.join(missing)}" if missing else "not collected",
        )
    for verdict in (Verdict.INCONCLUSIVE, *_ABSENT):
        waiting = [r for r in found if r.verdict == verdict.value]
        if waiting and not (require == "ran" and verdict in _RAN):
            return verdict, f"{_label(waiting[0].nodeid)}: {waiting[0].message}"
    return Verdict.HELD, ""


_RAN = (Verdict.HELD, Verdict.CONFIRMED, Verdict.FALSIFIED, Verdict.INCONCLUSIVE)


def _label(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


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
