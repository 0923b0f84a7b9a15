"""The options of a run: rows, and their values read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest

from pytest_contracts.options import Options, destination, rows
from tests.within import alone

PLUGIN = ("-p", "pytest_contracts.plugin", "-p", "no:unraisableexception")
"""The second one would collect garbage at the end of each configuration, a tenth of a second."""


@pytest.fixture(autouse=True)
def _no_others() -> Iterator[None]:
    with alone():
        yield


def test_what_nobody_gives_is_what_the_rows_say(pytester):
    options = Options.of(pytester.parseconfigure(*PLUGIN))
    assert all(getattr(options, row.name) == row.default for row in rows())
    assert not options.concern_this_run
    assert options.evidence_folders == (pytester.path / "evidence",)


def test_values_are_read_once_and_stay(pytester):
    (pytester.path / "claims").mkdir()
    words = ["--contracts=claims", "--contracts-examples=3", "--contracts-strict"]
    config = pytester.parseconfigure(*PLUGIN, *words)
    options = Options.of(config)
    assert (options.dirs, options.examples, options.strict) == (("claims",), 3, True)
    assert options.directories == (pytester.path / "claims",)
    config.option.contracts_examples = 4
    assert Options.of(config) is options
    with pytest.raises(FrozenInstanceError):
        options.examples = 4


def test_the_command_line_takes_the_place_of_the_configuration(pytester):
    for name in ("claims", "others"):
        (pytester.path / name).mkdir()
    pytester.makeini("[pytest]\ncontracts = claims\n")
    assert Options.of(pytester.parseconfigure(*PLUGIN)).directories == (pytester.path / "claims",)
    options = Options.of(pytester.parseconfigure(*PLUGIN, "--contracts=others"))
    assert options.directories == (pytester.path / "others",)
    assert options.configured == (pytester.path / "claims",)


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_of_examples_is_positive(pytester, number):
    with pytest.raises(pytest.UsageError, match="contracts-examples"):
        pytester.parseconfig(*PLUGIN, f"--contracts-examples={number}")


def test_other_plugins_find_an_option_under_its_old_name(pytester):
    config = pytester.parseconfigure(*PLUGIN, "--contracts-model=tiny")
    assert config.getoption("contracts_model") == "tiny"
    assert "contracts_model" in map(destination, rows())
