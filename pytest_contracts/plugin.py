"""The pytest plugin: pytest's hooks and nothing else; everything else is imported when needed.

Only what every run needs is here. The hooks that a run with contracts needs besides are in
``items/hooks.py``, which is registered where contracts are configured or named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_contracts.items.observation import Compared
    from pytest_contracts.options import Options

RECORDER = "contracts-recorder"
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
    from pytest_contracts.options import add_options

    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks by which a project names strategies, parameters and resources."""
    from pytest_contracts import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers; where there are contracts, choose what runs and register the rest."""
    from pytest_contracts.options import Options

    for line in MARKERS:
        config.addinivalue_line("markers", line)
    options = Options.of(config)
    options.check()
    if not options.dirs and not all(map(os.path.isdir, options.configured)):
        _tell_of_missing(config, options)
    if options.dirs and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(directory) for directory in options.directories]
    if options.concern_this_run:
        _register(config, options)


def _tell_of_missing(config: pytest.Config, options: Options) -> None:
    """Warn of configured directories that are not there: no contract of theirs will run."""
    from pytest_contracts.errors import ContractWarning

    for directory in options.configured:
        if not directory.is_dir():
            shown = os.path.relpath(directory, options.start)
            message = f"there is no directory {shown}, which the key contracts names"
            config.issue_config_time_warning(ContractWarning(message), stacklevel=2)


def _register(config: pytest.Config, options: Options) -> None:
    from pytest_contracts.items import hooks

    config.pluginmanager.register(hooks, "contracts-items")
    if not hasattr(config, "workerinput"):
        from pytest_contracts.report.outputs import Outputs
        from pytest_contracts.report.recorder import Recorder

        config.pluginmanager.register(Recorder(config, Outputs.of(options)), RECORDER)


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
    from pytest_contracts.ledger.records import Ledger

    if hasattr(config, "workerinput"):
        return {}
    recorder: Any = config.pluginmanager.getplugin(RECORDER)
    return Ledger().as_dict() if recorder is None else recorder.ledger.as_dict()
