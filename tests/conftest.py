"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

QUIET_PLUGINS = "-p no:randomly -p no:rerunfailures"
"""As in this project's own addopts: installed for the tests of compatibility, active only there."""


@pytest.fixture(scope="session", autouse=True)
def _runs_within_are_their_own() -> Iterator[None]:
    """Keep the options of this run, such as ``--cov``, out of the runs that tests start.

    A second measurement would slow them down, and end by taking in the data of the first.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        yield


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own, whose inner runs are the same whatever else is installed."""
    monkeypatch.setenv("PYTEST_ADDOPTS", QUIET_PLUGINS)
    return pytester
