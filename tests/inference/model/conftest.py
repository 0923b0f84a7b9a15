"""Reference values of other implementations, and the models they were computed from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import inference
from inference import Model
from inference.hub.cache import cached

GOLDEN = Path(__file__).parents[2] / "golden"
REAL = "qwen2.5-coder-0.5b-instruct"


@pytest.fixture(scope="session")
def tiny() -> Iterator[Model]:
    with inference.load(GOLDEN / "tiny" / "qwen2", numerics="f32") as model:
        yield model


@pytest.fixture(scope="session")
def real_path() -> Path:
    path = cached(REAL)
    if path is None:
        pytest.skip(f"needs the real model; run: apr pull {REAL}")
    return path
