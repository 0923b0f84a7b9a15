"""Gathers the records of all processes, decides the gates, writes and shows the ledger.

It is registered in every run that could judge contracts, so it imports what it needs when the
first record, or the first file that is no contract, is heard of.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_contracts.options import BINDINGS, Options
from pytest_contracts.report.collected import WORKER_OUTPUT, Collected
from pytest_contracts.report.outputs import Outputs
from pytest_contracts.report.paths import named

if TYPE_CHECKING:
    from pytest_contracts.ledger.records import End, Ledger, Record
    from pytest_contracts.report.report import Report

LEDGER_PATH = Path(".contracts") / "ledger.json"


class Recorder:
    """Hears every report of a run; lives in the controlling process only."""

    def __init__(self, config: pytest.Config, outputs: Outputs) -> None:
        self.config = config
        self.options = Options.of(config)
        self.outputs = outputs
        self.report: Report | None = None
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._end: End | None = None
        self._announced: set[str] = set()
        self._words: dict[str, str] = {}
        self._gates: dict[str, dict[str, Any]] = {}
        self._started = time.time()

    @cached_property
    def ledger(self) -> Ledger:
        """The records so far."""
        from pytest_contracts.ledger.records import End, Ledger

        ledger = Ledger(self._started)
        ledger.end = End.RUNNING
        ledger.partial = self.options.partial
        return ledger

    @property
    def _judges(self) -> bool:
        """Whether items run, and are not only collected or set up."""
        return not (
            self.config.getoption("collectonly") or self.config.getoption("setuponly", False)
        )

    @property
    def _heard(self) -> bool:
        """Whether there is anything to tell of."""
        collected = Collected.of(self.config)
        said = collected.retired or collected.selected or self._announced
        return "ledger" in vars(self) or bool(said)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record or the gate that a report carries."""
        record = getattr(report, "contracts_record", None)
        if record is not None:
            from pytest_contracts.ledger.records import Record

            self.ledger.add(Record.from_dict(record))
        elif report.failed:
            self._words[report.nodeid] = report.longreprtext.partition("\n")[0]
        gate = getattr(report, "contracts_gate", None)
        if gate is not None:
            self._gates[gate["nodeid"]] = gate
            # A worker of xdist announced it, this process decides it: to whoever writes down test
            # cases by worker, such as pytest's JUnit file, they would be two.
            vars(report).pop("node", None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Once every item of every process has reported, settle what contradicts, and the gates."""
        if self._judges:
            self._open()
        result = yield
        self._settle_contradictions()
        self._decide_gates(session)
        return result

    def _settle_contradictions(self) -> None:
        if "ledger" not in vars(self):
            return
        from pytest_contracts.ledger.contradictions import without_contradictions

        found = {record.nodeid: record for record in self.ledger.records}
        for record in without_contradictions(found).values():
            if record is not found[record.nodeid]:
                self.ledger.add(record)

    def _open(self) -> None:
        """Let nothing of an earlier run pass for this one's, should this process not survive it.

        The ledger that stays says that a run has begun; reports that were asked for are removed.
        """
        if Collected.of(self.config).selected:
            self._begin()
        with suppress(OSError):  # what cannot be written now is told when the run is over
            for target in self.outputs.targets:
                if not target.append and target.path.is_file() and not target.path.is_symlink():
                    target.path.unlink()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Hear from xdist what a worker is to run, should the worker not live to tell."""
        ours = {nodeid for nodeid in ids if ".yaml::" in nodeid}
        if ours and not self._announced and self._judges:
            self._begin()
        self._announced |= ours

    def _begin(self) -> None:
        from pytest_contracts.ledger.keeping import begun

        with suppress(OSError):
            begun(self.config.rootpath / LEDGER_PATH)

    def pytest_keyboard_interrupt(self) -> None:
        """Note that Ctrl-C or ``pytest.exit`` ended the run."""
        from pytest_contracts.ledger.records import End

        self._end = End.INTERRUPTED

    def pytest_internalerror(self) -> None:
        """Note that an error of pytest's or a plugin's ended the run."""
        from pytest_contracts.ledger.records import End

        self._end = End.ERROR

    def _account(self, session: pytest.Session) -> None:
        """Note how the run ended, what it left out, and each item of which nothing was heard."""
        from pytest_contracts.ledger.records import End, Record

        collected = Collected.of(self.config)
        for nodeid in self._announced - collected.entries.keys():
            entry = _guessed(nodeid, self.options)
            if entry is not None:
                collected.entries[nodeid] = entry
                collected.selected.add(nodeid)
        ledger = self.ledger
        unheard = [
            entry
            for nodeid, entry in collected.entries.items()
            if nodeid in collected.selected and ledger.get(nodeid) is None
        ]
        ends = {
            pytest.ExitCode.INTERRUPTED: End.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR: End.ERROR,
            pytest.ExitCode.USAGE_ERROR: End.ERROR,
        }
        ledger.end = self._end or ends.get(session.exitstatus, End.COMPLETE)  # type: ignore[call-overload]
        if ledger.end is End.COMPLETE and unheard:
            stopped = session.shouldfail or session.shouldstop
            ledger.end = End.STOPPED if stopped else End.INCOMPLETE
        for entry in unheard:
            if entry["kind"] == "gate":  # no claim: its checks say what is lost
                continue
            told = self._words.get(entry["nodeid"], "the run ended without a word on it")
            ledger.add(Record.lost(entry, told))
        heard = {record.nodeid for record in ledger.records}
        ledger.unselected = [e for e in collected.unselected if e["nodeid"] not in heard]
        ledger.uncollected = sorted(collected.uncollected or ())
        if ledger.end is not End.COMPLETE and session.exitstatus == pytest.ExitCode.OK:
            # As where a worker died, a plugin swallowed an item, or pytest.exit said 0.
            interrupted = ledger.end is End.INTERRUPTED
            codes = pytest.ExitCode
            session.exitstatus = codes.INTERRUPTED if interrupted else codes.TESTS_FAILED

    def _decide_gates(self, session: pytest.Session) -> None:
        if not self._gates:
            return
        from pytest_contracts.ledger.gates import decide, in_turn
        from pytest_contracts.report.decided import reports

        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and reporter.showfspath and not reporter.showlongtestinfo:
            reporter.write_fspath_result(str(self.config.invocation_params.dir / "gates"), "")
        self.ledger.gates = tuple(self._gates.values())
        for notice in in_turn(self.ledger.gates):
            found = {record.nodeid: record for record in self.ledger.records}
            decision = decide(notice, found, strict=self.options.strict)
            self.ledger.add(decision.record)
            for report in reports(notice, decision):
                session.config.hook.pytest_runtest_logreport(report=report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what is no contract; xdist tells the controller of it too."""
        path, _, _ = report.nodeid.partition("::")
        if report.failed and path.endswith(".yaml"):
            from pytest_contracts.ledger.records import Unread

            crash = getattr(report.longrepr, "reprcrash", None)
            line = crash.lineno if crash is not None else 1
            message = crash.message if crash is not None else report.longreprtext
            unread = Unread(path, line, message)
            if unread not in self.ledger.errors:  # each worker of xdist tells of it
                self.ledger.errors.append(unread)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the ledger and the reports; hold the run to its thresholds."""
        asked = self.outputs.targets or self.outputs.thresholds is not None
        if not (self._heard or asked):
            return
        self.ledger.retired = tuple(Collected.of(self.config).retired)
        if not self._judges:
            return
        self._account(session)
        if not (len(self.ledger) or self.ledger.errors or asked):
            return
        self._write(session)

    def _write(self, session: pytest.Session) -> None:
        from pytest_contracts.report.formats import write_all

        self._describe_run()
        self.report = report = self._report()
        if len(self.ledger):
            self._leave(report, self.config.rootpath / LEDGER_PATH)
        self.problems += write_all(self.outputs.targets, report)
        if self.problems:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif session.exitstatus == pytest.ExitCode.OK and (
            report.thresholds or report.contradictions
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _leave(self, report: Report, path: Path) -> None:
        """Write the ledger that stays; that it cannot be written says nothing of the claims."""
        from pytest_contracts.report.formats import Target

        try:
            Target(path, ".json").write(self._with_kept(report, path))
        except OSError as error:
            reason = error.strerror or error
            self.warnings.append(f"warning: cannot write {path}: {reason}; the ledger is not kept")

    def _with_kept(self, report: Report, path: Path) -> Report:
        """Return what is to stay: where a part was run, with what still stands of the rest."""
        collected = Collected.of(self.config)
        whole = collected.selected and not collected.narrowed
        if not path.is_file() or (whole and not report.extent.unheard):
            return report
        from pytest_contracts.ledger.evidence import EvidenceStore
        from pytest_contracts.ledger.keeping import Present, with_kept
        from pytest_contracts.ledger.reading import LedgerError, read
        from pytest_contracts.ledger.sources import SourceTree

        try:
            earlier = read(path)
        except LedgerError:  # damaged, or of another version: this run replaces it
            return report
        present = Present(
            digest=SourceTree(self.config.rootpath).digest,
            evidence=lambda: EvidenceStore(self.options.evidence_folders),
            strict=self.options.strict,
        )
        return replace(report, document=with_kept(report.document, earlier, present))

    def _report(self) -> Report:
        from pytest_contracts.report.failure import reproduce_command
        from pytest_contracts.report.report import Place, Report, repository_of

        root = self.config.rootpath

        def reproduce(record: Record) -> str:
            name = "" if record.kind == "gate" else record.nodeid.partition("::")[2]
            return reproduce_command(root / Place.of(record.where).path, name, self.config)

        report = Report(
            document=self.ledger.as_dict(),
            records=self.ledger.records,
            errors=tuple(self.ledger.errors),
            root=root,
            repository=repository_of(root, os.environ),
            reproduce=reproduce,
            bindings=self.options.binding_files,
            baseline=self.outputs.baseline,
        )
        if self.outputs.thresholds is None:
            return report
        return replace(report, thresholds=self.outputs.thresholds.missed(report))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear from a worker of xdist what it collected."""
        told = getattr(node, "workeroutput", {}).get(WORKER_OUTPUT)
        if told is not None:
            Collected.of(self.config).hear(told)

    def _describe_run(self) -> None:
        """Note where the run took place and on which files its verdicts rest."""
        from pytest_contracts.ledger.sources import SourceTree, commit
        from pytest_contracts.report.report import Place

        self.ledger.device = self.config.hook.pytest_contracts_device(config=self.config)
        self.ledger.commit = commit(self.config.rootpath)
        tree = SourceTree(self.config.rootpath)
        collected = Collected.of(self.config)
        names = {name for record in self.ledger.records for name in record.rests_on}
        places = {Place.of(record.where).path for record in self.ledger.records}
        bindings = {(Path(path).parent / BINDINGS).as_posix() for path in places}
        bindings |= {named(path, self.options.root) for path in self.options.binding_files}
        now = {name: tree.digest(name) for name in sorted(names | places | bindings)}
        digests = {**now, **{n: d for n, d in collected.digests.items() if n in now}}
        self.ledger.changed = [name for name, digest in digests.items() if digest != now[name]]
        self.ledger.files = {name: digest for name, digest in digests.items() if digest}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the contracts, one line each, and what the run did not reach."""
        if self._heard and (len(self.ledger) or self.ledger.retired):
            from pytest_contracts.report.terminal import write_summary

            write_summary(terminalreporter, self.ledger)
        if self.report is None:
            return
        for warning in self.warnings:
            terminalreporter.write_line(warning, yellow=True)
        for line in self.report.thresholds:
            terminalreporter.write_line(f"under the threshold: {line}", red=True, bold=True)
        for problem in self.problems:
            terminalreporter.write_line(problem, red=True, bold=True)
        self._annotate(terminalreporter, self.report)

    def _annotate(self, terminalreporter: pytest.TerminalReporter, report: Report) -> None:
        from pytest_contracts.report.annotations import commands, wanted

        if wanted(os.environ):
            terminalreporter.ensure_newline()
            for line in commands(report):
                terminalreporter.write_line(line)


def _guessed(nodeid: str, options: Options) -> dict[str, Any] | None:
    """Return the entry of an item that only a worker knew, which did not live to tell."""
    path, _, name = nodeid.partition("::")
    inside = (options.root / path).resolve()
    if inside.suffix != ".yaml" or not any(map(inside.is_relative_to, options.directories)):
        return None
    return {
        "nodeid": nodeid,
        "contract": inside.stem,
        "claim": name.partition("[")[0],
        "kind": "obligation",
        "where": f"{path}:1:1",
    }
