"""Commands are tested by what they print."""

from __future__ import annotations

import pytest

from inference.backends.cpu.lowered.executor import prepare


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile before the first command, which would otherwise tell that it does so."""
    prepare()
