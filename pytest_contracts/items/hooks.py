"""pytest's hooks where there are contracts; a run without any does not register this module."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_contracts import __version__
from pytest_contracts.ledger.opened import Opened
from pytest_contracts.options import BINDINGS, Options
from pytest_contracts.report.collected import WORKER_OUTPUT, Collected
from pytest_contracts.report.paths import named, relative

if TYPE_CHECKING:
    from pytest_contracts.items.project import Project

_project_key = pytest.StashKey["Project"]()
_bad_files_key = pytest.StashKey[set[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Hear from now on which files of the project are opened, and by which code."""
    opened = Opened(config.rootpath)
    opened.start()
    config.add_cleanup(opened.stop)
    Collected.of(config).opened = opened


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return the line about contracts, with the options that differ from their defaults."""
    options = Options.of(config)
    if not options.directories:
        return None
    words = [str(relative(directory, config)) for directory in options.directories]
    for name in ("backend", "model", "examples"):
        value = getattr(options, name)
        if value:
            words.append(f"{name}={value}")
    if options.strict:
        words.append("strict")
    return f"contracts: {__version__}, {', '.join(words)}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Refuse what no claim could be judged with, before any contract is collected.

    Raises:
        UsageError: Python leaves out assertions, or there is damaged evidence.
    """
    config = session.config
    if hasattr(config, "workerinput"):
        return
    start = config.invocation_params.dir
    given = [(start / str(word).partition("::")[0]).resolve() for word in config.args]
    if any(
        path.is_relative_to(directory) or directory.is_relative_to(path)
        for directory in Options.of(config).directories
        for path in given
    ):
        if sys.flags.optimize:
            raise pytest.UsageError(
                "contracts cannot be judged under python -O: it leaves out every assertion. "
                "Run without -O, and unset PYTHONOPTIMIZE"
            )
        project(config).check_evidence()


def project(config: pytest.Config) -> Project:
    """Return what this run knows of the project; made when the first contract asks for it."""
    from pytest_contracts.items.project import Project

    if _project_key not in config.stash:
        config.stash[_project_key] = Project(config)
    return config.stash[_project_key]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect ``*.yaml`` files below a contract directory, and no others."""
    if file_path.suffix != ".yaml" or file_path.name == BINDINGS:
        return None
    directories = Options.of(parent.config).directories
    if not any(_below(file_path, directory) for directory in directories):
        return None
    from pytest_contracts.items.file import ContractFile

    collector: pytest.Collector = ContractFile.from_parent(
        parent, path=file_path, project=project(parent.config)
    )
    return collector


def _below(path: Path, directory: Path) -> bool:
    """Tell whether a file lies below a directory, itself or as a link to one elsewhere."""
    places = (path, path.parent.resolve() / path.name, path.resolve())
    return any(place.is_relative_to(directory) for place in places)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what the whole run decides: claims of completeness, then gates."""
    items.sort(key=lambda item: getattr(item, "turn", 0) if hasattr(item, "announce") else 0)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note which contract files cannot be collected."""
    report = yield
    if report.failed and collector.path.suffix == ".yaml" and hasattr(collector, "project"):
        collector.config.stash.setdefault(_bad_files_key, set()).add(collector.path)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what is to run; let it run where only bad contract files failed to be collected."""
    collected = Collected.of(session.config)
    collected.selected = {item.nodeid for item in session.items if _is_ours(item)}
    if collected.selected or Options.of(session.config).asked:
        known = project(session.config)
        collected.narrowed |= known.narrowed
        root = session.config.rootpath
        collected.uncollected = {named(path, root) for path in known.uncollected}
    bad = session.config.stash.get(_bad_files_key, set())
    if bad and session.testsfailed == len(bad):
        session.config.option.continue_on_collection_errors = True


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note that items of contracts are left out."""
    ours = next(filter(_is_ours, items), None)
    if ours is not None:
        Collected.of(ours.config).narrowed = True


def _is_ours(item: pytest.Item) -> bool:
    return hasattr(item, "contract_report") or hasattr(item, "announce")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controlling process of xdist what was collected and opened here."""
    collected = Collected.of(session.config)
    if collected.opened is not None:
        collected.note(dict(collected.opened.digests))
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[WORKER_OUTPUT] = collected.told()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Let what the whole run decides announce itself instead of running."""
    announce = getattr(item, "announce", None)
    if announce is None:
        return None
    if not item.config.getoption("setuponly", False):  # else nothing runs: nothing to decide
        # Neither logstart nor logfinish: both would list the file of every gate once more.
        item.ihook.pytest_runtest_logreport(report=announce())
    _leave(item, nextitem)
    return True


def _leave(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tear down what the items before one that is never set up have left for it.

    Where plugins reorder, an ordinary test may follow.
    """
    # Not by the hook of tear-down, where plugins expect that the item itself was set up.
    call = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem),
        when="teardown",
        reraise=(pytest.exit.Exception, KeyboardInterrupt),
    )
    if call.excinfo is not None:
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        item.ihook.pytest_runtest_logreport(report=report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the record of a claim to its report."""
    reconsider = getattr(item, "reconsider", None)
    if reconsider is not None and call.excinfo is not None:
        reconsider(call.when, call.excinfo.value)
    report = yield
    attach = getattr(item, "contract_report", None)
    if attach is not None:
        attach(report)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str | tuple[str, Mapping[str, bool]]] | None:
    """Show that an item passed on evidence from another machine, and on which."""
    record: Mapping[str, Any] = getattr(report, "contracts_record", {})
    if record.get("verdict") != "EVIDENCED" or not report.passed or report.when != "call":
        return None
    if hasattr(report, "wasxfail"):
        return None
    seen = record["evidence"]
    return "passed", "e", (f"EVIDENCED ({seen['device']}, {seen['date'][:10]})", {"green": True})
