"""The pytest plugin: options, collection, reports. Everything else is imported when needed."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_contracts import __version__, hookspecs

if TYPE_CHECKING:
    from pytest_contracts.items.observation import Compared
    from pytest_contracts.items.project import Registry

_directories_key = pytest.StashKey[tuple[Path, ...]]()
_registry_key = pytest.StashKey["Registry"]()
_recorder_key = pytest.StashKey[Any]()
_bad_files_key = pytest.StashKey[set[Path]]()

RETIRED = "contracts_retired"
BINDINGS = "binding.yaml"
"""What a binding file is called; it is no contract."""
MARKERS = (
    "falsification: a falsification test of a contract",
    "obligation: a proof obligation of a contract",
    "symbolic: a bounded proof of a contract",
    "gate: a contract's quality gate, decided after the run",
    "gpu: needs a GPU",
    "model: needs a model file",
    "slow: takes longer than a few seconds",
    "contract(name): belongs to the contract of this name",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("contracts", "executable contracts")
    group.addoption(
        "--contracts",
        action="append",
        dest="contracts_dirs",
        metavar="DIR",
        help="directory of contract files (repeatable); without paths, only contracts run",
    )
    group.addoption(
        "--contracts-backend",
        dest="contracts_backend",
        metavar="NAME",
        help="judge only the implementations of this name, such as cpu or cuda",
    )
    group.addoption(
        "--contracts-binding",
        action="append",
        dest="contracts_bindings",
        metavar="FILE",
        help="binding file of wild contracts, beside the binding.yaml next to them (repeatable)",
    )
    group.addoption(
        "--contracts-model",
        dest="contracts_model",
        metavar="MODEL",
        help="model under judgement, for the hooks of this project to read",
    )
    group.addoption(
        "--contracts-examples",
        dest="contracts_examples",
        type=_positive,
        metavar="N",
        help="examples per property, instead of what claims and profile ask for",
    )
    group.addoption(
        "--contracts-report",
        action="append",
        dest="contracts_report",
        metavar="FILE",
        help="write a report by extension: .json, .html, .sarif, .md, .svg (repeatable)",
    )
    group.addoption(
        "--contracts-baseline",
        dest="contracts_baseline",
        metavar="PREVIOUS.json",
        help="a previous run's JSON report, to show in reports what has changed since",
    )
    group.addoption(
        "--contracts-fail-under",
        dest="contracts_fail_under",
        metavar="binding=N,level=LN,verified=N",
        help="fail where fewer equations or items (in percent) or a lower level was reached",
    )
    group.addoption(
        "--contracts-strict",
        dest="contracts_strict",
        action="store_true",
        help="inconclusive proofs and claims that cannot be executed fail",
    )
    parser.addini("contracts", "directories of contract files", type="paths", default=[])
    parser.addini("contracts_evidence", "directories of evidence", type="paths", default=[])


def binding_files(config: pytest.Config) -> tuple[Path, ...]:
    """Return the files that ``--contracts-binding`` names."""
    given: list[str] = config.getoption("contracts_bindings") or []
    return tuple((config.invocation_params.dir / name).resolve() for name in given)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks by which a project names strategies, parameters and resources."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers, find the contract directories, choose what runs."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    given: list[str] | None = config.getoption("contracts_dirs")
    if given:
        start = config.invocation_params.dir
        directories = tuple((start / name).resolve() for name in given)
        for directory, name in zip(directories, given, strict=True):
            if not directory.is_dir():
                raise pytest.UsageError(f"--contracts: there is no directory {name}")
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args[:] = [str(directory) for directory in directories]
    else:
        directories = tuple(Path(path).resolve() for path in config.getini("contracts"))
    config.stash[_directories_key] = directories
    for path in binding_files(config):
        if not path.is_file():
            shown = os.path.relpath(path, config.invocation_params.dir)
            raise pytest.UsageError(f"--contracts-binding: there is no file {shown}")
    if not hasattr(config, "workerinput"):
        from pytest_contracts.report.outputs import Outputs
        from pytest_contracts.report.recorder import Recorder

        recorder = Recorder(config, Outputs.of(config))
        config.stash[_recorder_key] = recorder
        config.pluginmanager.register(recorder, "contracts-recorder")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return the line about contracts, with the options that differ from their defaults."""
    directories = config.stash.get(_directories_key, ())
    if not directories:
        return None
    from pytest_contracts.report.paths import relative

    words = [str(relative(directory, config)) for directory in directories]
    for option in ("backend", "model", "examples"):
        value = config.getoption(f"contracts_{option}")
        if value:
            words.append(f"{option}={value}")
    if config.getoption("contracts_strict"):
        words.append("strict")
    return f"contracts: {__version__}, {', '.join(words)}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Refuse damaged evidence once, before the contracts that could rest on it are collected."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    start = config.invocation_params.dir
    given = [(start / str(word).partition("::")[0]).resolve() for word in config.args]
    if any(
        path.is_relative_to(directory) or directory.is_relative_to(path)
        for directory in config.stash.get(_directories_key, ())
        for path in given
    ):
        _registry(config).check_evidence()


def _registry(config: pytest.Config) -> Registry:
    from pytest_contracts.items.project import Registry

    if _registry_key not in config.stash:
        directories = config.stash[_directories_key]
        config.stash[_registry_key] = Registry(config, directories)
    return config.stash[_registry_key]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect ``*.yaml`` files below a contract directory, and no others."""
    if file_path.suffix != ".yaml" or file_path.name == BINDINGS:
        return None
    directories = parent.config.stash.get(_directories_key, ())
    resolved = file_path.resolve()
    if not any(resolved.is_relative_to(directory) for directory in directories):
        return None
    from pytest_contracts.items.file import ContractFile

    collector: pytest.Collector = ContractFile.from_parent(
        parent, path=file_path, registry=_registry(parent.config)
    )
    return collector


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
    if report.failed and hasattr(collector, "registry"):
        collector.config.stash.setdefault(_bad_files_key, set()).add(collector.path)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the others run where nothing but bad contract files failed to be collected."""
    bad = session.config.stash.get(_bad_files_key, set())
    if bad and session.testsfailed == len(bad):
        session.config.option.continue_on_collection_errors = True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controlling process of xdist which claims are retired."""
    output = getattr(session.config, "workeroutput", None)
    registry = session.config.stash.get(_registry_key, None)
    if output is not None and registry is not None:
        output[RETIRED] = list(registry.retired)


def retired(config: pytest.Config) -> Mapping[tuple[str, str], None]:
    """Return contract and claim of what this process did not collect, since it is retired."""
    registry = config.stash.get(_registry_key, None)
    return {} if registry is None else registry.retired


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Let what the whole run decides announce itself instead of running."""
    announce = getattr(item, "announce", None)
    if announce is None:
        return None
    if item.config.getoption("setuponly", False):  # nothing runs, so there is nothing to decide
        return True
    # Neither logstart nor logfinish: both would list the file of every gate once more.
    item.ihook.pytest_runtest_logreport(report=announce())
    return True


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


@pytest.fixture
def compared(request: pytest.FixtureRequest) -> Compared:
    """Count what a check compared: ``compared(n_elements, what="...")``.

    A procedure gets the counter of its item; a claim that asks for it and counts nothing is
    vacuous.
    """
    from pytest_contracts.items.observation import Compared

    observation: Any = getattr(request.node, "observation", None)
    counter: Compared = Compared() if observation is None else observation.compared
    return counter


def records(config: pytest.Config) -> Mapping[str, Any]:
    """Return the ledger of a run so far as JSON-ready values; empty in an xdist worker."""
    recorder = config.stash.get(_recorder_key, None)
    return {} if recorder is None else recorder.ledger.as_dict()
