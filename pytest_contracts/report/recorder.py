"""Gathers the records of all processes, decides the gates, writes and shows the ledger."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts import plugin
from pytest_contracts.ledger import Ledger, Record, write_json
from pytest_contracts.report.terminal import write_summary
from pytest_contracts.sources import SourceTree

_NAME_COMMIT = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
LEDGER_PATH = Path(".contracts") / "ledger.json"


class Recorder:
    """Hears every report of a run; lives in the controlling process only."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.ledger = Ledger()
        self._gates: dict[str, dict[str, Any]] = {}
        self._retired: dict[tuple[str, str], None] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record or the gate that a report carries."""
        record = getattr(report, "contracts_record", None)
        if record is not None:
            self.ledger.add(Record.from_dict(record))
        gate = getattr(report, "contracts_gate", None)
        if gate is not None:
            self._gates[gate["nodeid"]] = gate

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Decide the gates once every item of every process has reported."""
        result = yield
        self._decide_gates(session)
        return result

    def _decide_gates(self, session: pytest.Session) -> None:
        if not self._gates:
            return
        from pytest_contracts.items.gate import GateNotice, decide

        strict = bool(self.config.getoption("contracts_strict"))
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and reporter.showfspath and not reporter.showlongtestinfo:
            reporter.write_fspath_result(str(self.config.invocation_params.dir / "gates"), "")
        # A gate may check a claim of completeness, so these come first.
        for gate in sorted(self._gates.values(), key=lambda gate: bool(gate["kind"] == "gate")):
            found = {record.nodeid: record for record in self.ledger.records}
            record, reports = decide(GateNotice(**gate), found, strict=strict)
            self.ledger.add(record)
            for report in reports:
                session.config.hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the ledger."""
        self._retired |= plugin.retired(self.config)
        self.ledger.retired = tuple(self._retired)
        if not len(self.ledger):
            return
        self._describe_run()
        data = self.ledger.as_dict()
        paths = [self.config.rootpath / LEDGER_PATH]
        given = self.config.getoption("contracts_report")
        if given:
            paths.append(self.config.invocation_params.dir / given)
        for path in paths:
            try:
                write_json(data, path)
            except OSError as error:
                raise pytest.UsageError(f"cannot write the ledger to {path}: {error}") from error

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear from a worker of xdist which claims it did not collect."""
        told = getattr(node, "workeroutput", {}).get(plugin.RETIRED, ())
        self._retired |= dict.fromkeys(told)

    def _describe_run(self) -> None:
        """Note where the run took place and on which files its verdicts rest."""
        self.ledger.device = self.config.hook.pytest_contracts_device(config=self.config)
        self.ledger.commit = _commit(self.config.rootpath)
        tree = SourceTree(self.config.rootpath)
        names = sorted({name for record in self.ledger.records for name in record.files})
        digests = {name: tree.digest(name) for name in names}
        self.ledger.files = {name: digest for name, digest in digests.items() if digest}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the contracts, one line each."""
        if len(self.ledger) or self.ledger.retired:
            write_summary(terminalreporter, self.ledger)


def _commit(root: Path) -> str | None:
    """Return the commit that is checked out, ``-dirty`` where files differ; None without Git."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), *_NAME_COMMIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
