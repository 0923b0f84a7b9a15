"""Commands are tested by what they print."""

from __future__ import annotations

import pytest

import inference
from inference.backends.cpu.lowered.executor import prepare
from inference.data import TINY_MODEL


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile before the first command, which would otherwise tell that it does so.

    And run once: kernels are imported by the first run, and register themselves.
    """
    prepare()
    with inference.load(TINY_MODEL) as model:
        model.session().advance([1])
