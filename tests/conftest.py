"""What all tests share."""

from __future__ import annotations

import pytest

QUIET_PLUGINS = "-p no:randomly -p no:rerunfailures"
"""As in this project's own addopts: installed for the tests of compatibility, active only there."""


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own, whose inner runs are the same whatever else is installed."""
    monkeypatch.setenv("PYTEST_ADDOPTS", QUIET_PLUGINS)
    return pytester
