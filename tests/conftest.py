"""What all tests share."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import core, settings

from pytest_contracts import binding
from pytest_contracts.items.process import SHARED, Rule, Shared, State, put_back
from tests.tracing import spared, untraced
from tests.within import IMPORTS, Once, share_what_hypothesis_read

_TIMES = os.environ.pop("CPU_BY_FILE", None)
"""Where to write how many CPU seconds each test file took; asked for by ``.ci/run``."""
_CPU = pytest.StashKey[float]()
_cpu_by_file: Counter[str] = Counter()
_spared: set[str] = set()

QUIET_PLUGINS = "-p no:randomly -p no:rerunfailures"
"""As in this project's own addopts: installed for the tests of compatibility, active only there."""


def _one(name: str, get: Callable[[], Any], put: Callable[[Any], object]) -> Shared:
    return Shared(name, lambda: {"it": get()}, lambda kept: put(kept["it"]))


_HANDLED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE, signal.SIGCHLD,
    signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


def _handlers() -> State:
    return {number: signal.getsignal(number) for number in _HANDLED}


def _put_handlers(kept: State) -> None:
    for number, handler in kept.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


_NAMED = b"PYTEST_CURRENT_TEST"
"""pytest changes it between set-up, call and tear-down."""


def _strict(row: Shared) -> Shared:
    """Return a row of the plugin's own as it is meant for tests: they may not seed generators."""
    if row.name != "the environment":
        return replace(row, rule=Rule.SAME) if row.rule is Rule.RESTORED else row

    def get() -> State:
        return {key: value for key, value in row.get().items() if key != _NAMED}

    def put(kept: State) -> None:
        row.put({**kept, **{k: v for k, v in row.get().items() if k == _NAMED}})

    return replace(row, get=get, put=put)


def _put_registered(kept: State) -> None:
    binding._registry.clear()
    binding._registry.update(kept)


def _registered_in_a_test() -> State:
    """Return what no module registers as it is imported, whichever test is the first to do so."""
    registered = binding._registry.items()
    return {claim: function for claim, function in registered if _is_local(function)}


def _is_local(function: object) -> bool:
    return "<locals>" in getattr(function, "__qualname__", "")


def _put_registered_in_a_test(kept: State) -> None:
    for claim in _registered_in_a_test().keys() - kept.keys():
        del binding._registry[claim]
    binding._registry.update(kept)


LEFT = (
    *map(_strict, SHARED),
    Shared(
        "the registered implementations",
        lambda: dict(binding._registry),
        _put_registered,
        Rule.MORE,
    ),
    Shared(
        "the implementations that tests register",
        _registered_in_a_test,
        _put_registered_in_a_test,
    ),
    _one("Hypothesis's profile", settings.get_current_profile_name, settings.load_profile),
    _one(
        "Hypothesis's seed",
        lambda: core.global_force_seed,
        lambda kept: setattr(core, "global_force_seed", kept),
    ),
    _one("the trace function", sys.gettrace, sys.settrace),
    _one("the profile function", sys.getprofile, sys.setprofile),
    _one("the trace function of threads", threading.gettrace, threading.settrace),
    _one("the profile function of threads", threading.getprofile, threading.setprofile),
    Shared("the handlers of signals", _handlers, _put_handlers),
)
"""What a test must leave as it found it: else what the next one says depends on who ran before."""


@pytest.fixture(autouse=True)
def _things_are_left_as_they_were() -> Iterator[None]:
    """Fail a test that leaves changed what all tests share; it is put back for the next one."""
    changes: list[str] = []
    with put_back(LEFT, changes):
        yield
    if changes:
        pytest.fail(f"the test {'; '.join(changes)}", pytrace=False)


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of what coverage looks away from."""
    words = "loops for long over what other tests run: coverage looks away (tests/tracing.py)"
    config.addinivalue_line("markers", f"untraced: {words}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose what coverage need not see."""
    _spared.update(spared(items))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Trace no more tests than coverage needs."""
    if item.nodeid not in _spared:
        return (yield)
    with untraced():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin to count."""
    item.stash[_CPU] = _cpu_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Say in the last report of a test how many CPU seconds it took, for whoever collects them."""
    report = yield
    if report.when == "teardown":
        report.user_properties.append(("cpu_s", _cpu_seconds() - item.stash[_CPU]))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up; the reports of pytest-xdist's workers come here too."""
    _cpu_by_file[report.location[0]] += dict(report.user_properties).get("cpu_s", 0.0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, the file that took the most first."""
    if _TIMES is not None and not hasattr(session.config, "workerinput"):
        rows = (f"{seconds:8.1f}s  {name}" for name, seconds in _cpu_by_file.most_common())
        Path(_TIMES).write_text("\n".join(rows) + "\n", "utf-8")


@pytest.fixture(scope="session", autouse=True)
def _runs_within_are_their_own() -> Iterator[None]:
    """Keep the options of this run, such as ``--cov``, out of the runs that tests start.

    A second measurement would slow them down, and end by taking in the data of the first. A shell
    that starts this run in the background lets it ignore interrupts, and what it starts with it.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def _imports_stay() -> Iterator[None]:
    yield
    IMPORTS.put_back()


@pytest.fixture
def pytester(
    _imports_stay: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """pytest's own, whose inner runs are the same whatever else is installed.

    It forgets its projects' modules but none of installed packages.
    """
    monkeypatch.setenv("PYTEST_ADDOPTS", QUIET_PLUGINS)
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    share_what_hypothesis_read(pytester.path)
    return pytester


@pytest.fixture(scope="module")
def once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Lets the tests of a module assert about one and the same run."""
    return Once.of(request, tmp_path_factory)
