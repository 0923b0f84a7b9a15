"""Reference values of other implementations, and the models they were computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

import inference
from inference import Model

GOLDEN = Path(__file__).parents[2] / "golden"
ARCHITECTURES = ("gemma3", "llama", "qwen2", "qwen3")


@pytest.fixture(scope="session")
def tiny_of() -> Iterator[Callable[[str], Model]]:
    """Return a function from an architecture to a small random model of it, loaded once."""
    with ExitStack() as stack:

        @cache
        def load(architecture: str) -> Model:
            path = GOLDEN / "tiny" / architecture
            return stack.enter_context(inference.load(path, numerics="f32"))

        yield load


@pytest.fixture(scope="session")
def tiny(tiny_of: Callable[[str], Model]) -> Model:
    return tiny_of("qwen2")


@pytest.fixture(scope="session", params=ARCHITECTURES)
def of_architecture(tiny_of: Callable[[str], Model], request: pytest.FixtureRequest) -> Model:
    return tiny_of(request.param)
