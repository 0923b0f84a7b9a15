"""Reference values of other implementations, and the models they were computed from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model
from inference.hub import cached

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


class Golden(NamedTuple):
    """What was recorded of a model, and how far int8 activations may carry it from there.

    ``margin`` is the lead below which another first token is no error on the fused path.
    """

    model: str
    folder: str
    kl: float
    margin: float

    def text(self, name: str) -> str:
        return (GOLDEN / self.folder / name).read_text(encoding="utf-8")

    def json(self, name: str) -> object:
        return json.loads(self.text(name))

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(GOLDEN / self.folder / name) as held:
            return dict(held)


GOLDENS = (
    Golden("qwen2.5-coder-0.5b-instruct", "qwen05b", 0.02, 0.3),
    Golden("smollm2-135m-instruct", "smol135m", 0.06, 0.7),
    Golden("gemma-3-270m", "gemma270m", 0.08, 0.7),
)


@pytest.fixture(scope="module", params=GOLDENS, ids=lambda golden: golden.folder)
def pulled(request: pytest.FixtureRequest) -> tuple[Path, Golden]:
    """A model file that is here, and what was recorded of it."""
    golden: Golden = request.param
    path = cached(golden.model)
    if path is None:
        pytest.skip(f"needs the real model; run: apr pull {golden.model}")
    return path, golden
