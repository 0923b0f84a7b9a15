"""What every backend answers. Sessions, models and the profiler depend on nothing else of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.backends.metrics import DispatchMetrics
from inference.errors import InputError
from inference.model.config import ModelConfig
from inference.model.ops import Operation, Program
from inference.model.stages import Stage
from inference.quant.types import TensorType

Array = NDArray[np.float32]
IntArray = NDArray[np.intp]

Path = Literal["lowered", "operations"]
"""How a program runs: as one piece made ready beforehand, or operation by operation."""


class Cache(Protocol):
    """Keys and values of one text, laid out as its backend wants them.

    ``shape`` is (layers, kv_heads, head_dim), ``capacity`` the most tokens it can hold.
    """

    capacity: int
    length: int
    shape: tuple[int, int, int]

    def reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` more; ContextOverflowError when the context cannot hold them."""
        ...

    def commit(self, tokens: int) -> None:
        """Count ``tokens`` appended rows as past."""
        ...

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` tokens."""
        ...

    def snapshot(self) -> tuple[Array, Array]:
        """Return copies of the past keys and values [layers, length, kv_heads, head_dim]."""
        ...

    def restore(self, keys: Array, values: Array) -> None:
        """Make a snapshot the whole past; ValueError when it is of another shape."""
        ...


class Capture(Protocol):
    """Who watches a run. An unwatched run has no capture and pays one ``if``."""

    def ran(self, path: Path) -> None:
        """Take note of the way the watched run goes."""
        ...

    def wants(self, stage: Stage, layer: int | None) -> bool:
        """Tell whether the value is worth computing or copying."""
        ...

    def observe(self, stage: Stage, layer: int | None, value: Array) -> None:
        """Take note of a value; the array is the backend's own and must be left as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of a step that go on with one text; its past is ``start`` tokens in ``cache``."""

    rows: slice
    cache: Cache
    start: int


class Step:
    """What one run of a program is about: token ids, and the past that they go on with.

    ``texts`` are new tokens with their caches; the tokens of several texts are stacked. The result
    has a row for every token if ``every_row``, else for the last one of each text. A ``capture``
    watches a single text.
    """

    def __init__(
        self,
        texts: Sequence[tuple[IntArray, Cache]],
        *,
        every_row: bool = False,
        capture: Capture | None = None,
    ) -> None:
        if capture is not None and len(texts) != 1:
            raise InputError(f"a capture watches one text, not {len(texts)}")
        self.ids = np.concatenate([ids for ids, _ in texts])
        ends = np.cumsum([len(ids) for ids, _ in texts]).tolist()
        self.spans = tuple(
            Span(slice(end - len(ids), end), cache, cache.length)
            for end, (ids, cache) in zip(ends, texts, strict=True)
        )
        self.every_row = every_row
        self.capture = capture


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Which way a program takes; ``reason`` says why where that is not the fast one."""

    path: Path
    reason: str = ""


@dataclass(slots=True)
class Dispatch:
    """Which kind of product a tensor takes part in, by which function, and how often it ran.

    ``path`` is the way the program runs, ``reason`` what keeps it from the fast one.
    """

    tensor: str
    dtype: TensorType
    product: str
    kernel: str
    calls: int = 0
    path: Path = "lowered"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """How many seconds operations took that ran as one."""

    ops: tuple[Operation, ...]
    seconds: float


class Backend(Protocol):
    """Runs programs over one set of weights."""

    name: str
    metrics: DispatchMetrics

    @property
    def dispatch(self) -> Sequence[Dispatch]:
        """Which kernel serves each matrix, which way it runs, and how often it ran."""
        ...

    def cache(self, config: ModelConfig) -> Cache:
        """Return an empty cache, laid out for the way in which programs run here."""
        ...

    def capabilities(self, program: Program) -> Capabilities:
        """Tell which way the program takes here."""
        ...

    def expect(self, program: Program) -> None:
        """Make ready, beside whatever else happens, for a program that will run."""
        ...

    def run(self, program: Program, step: Step) -> Array:
        """Run the program; return its output [rows, vocab].

        The tokens join their caches only when the whole program has run.
        """
        ...

    def timed(self, program: Program, step: Step) -> Sequence[Timing]:
        """Run the program as `run` does; return what its parts took, in their order."""
        ...
