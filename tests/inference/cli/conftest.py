"""Commands are tested by what they print."""

from __future__ import annotations

import pytest

import inference
from inference.data import TINY_MODEL


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile before the first command, which would otherwise tell that it does so."""
    with inference.load(TINY_MODEL) as model:
        model.trace([1, 2, 3])
