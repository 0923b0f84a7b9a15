"""Where the time of a forward pass goes: every operation of the program, timed as it runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.model.ops import Attend, Linear, Observe

if TYPE_CHECKING:
    from inference.backends.cpu.backend import CpuBackend, Step
    from inference.engine.model import Model


@dataclass(slots=True)
class Cost:
    """What one kind of operation took: seconds, bytes read from memory, floating-point operations.

    Bytes and operations are those of weights and of keys and values; 0 where they do not matter.
    """

    name: str
    calls: int = 0
    seconds: float = 0.0
    nbytes: int = 0
    flops: int = 0

    def to_json(self, total: float) -> dict[str, Any]:
        """Return plain data, with the share of ``total`` seconds."""
        return {
            "name": self.name,
            "calls": self.calls,
            "seconds": self.seconds,
            "share": self.seconds / total if total else 0.0,
            "bytes_per_s": self.nbytes / self.seconds if self.seconds else 0.0,
            "flops_per_s": self.flops / self.seconds if self.seconds else 0.0,
        }


def profile(model: Model, prompt: list[int], tokens: list[int]) -> dict[str, Any]:
    """Run a prompt, then tokens one by one; return what each kind of operation took in both.

    The operations run one at a time, as for a trace, so that each can be timed: an engine that
    joins them is faster than their sum.
    """
    session = model.session()
    report = {}
    for phase, batches in (("prefill", [prompt]), ("decode", [[token] for token in tokens])):
        with _timed(model) as costs:
            for ids in batches:
                session.advance(ids, capture=_Unwatched())
        ranked = sorted(costs.values(), key=lambda cost: -cost.seconds)
        total = sum(cost.seconds for cost in ranked)
        report[phase] = {
            "seconds": total,
            "bytes": sum(cost.nbytes for cost in ranked),
            "operations": [cost.to_json(total) for cost in ranked],
        }
    return report


class _Unwatched:
    """Makes a session run operation by operation, and looks at nothing."""

    def wants(self, *_: object) -> bool:
        return False

    def observe(self, *_: object) -> None:
        raise AssertionError("nothing was wanted")


@contextmanager
def _timed(model: Model) -> Iterator[Mapping[str, Cost]]:
    backend = model._backend
    costs: dict[str, Cost] = {}

    def timed(
        kind: str, handler: Callable[[Any, Any, Step], None]
    ) -> Callable[[Any, Any, Step], None]:
        def run(self: CpuBackend, op: Any, step: Step) -> None:
            begin = time.perf_counter()
            handler(self, op, step)
            seconds = time.perf_counter() - begin
            name, nbytes, flops = _describe(model, op, step, kind)
            cost = costs.setdefault(name, Cost(name))
            cost.calls += 1
            cost.seconds += seconds
            cost.nbytes += nbytes
            cost.flops += flops

        return run

    handlers = {
        kind: handler if kind is Observe else timed(_name(handler), handler)
        for kind, handler in backend.handlers.items()
    }
    backend.handlers = handlers
    try:
        yield costs
    finally:
        del backend.handlers


def _describe(model: Model, op: Any, step: Step, kind: str) -> tuple[str, int, int]:
    """Return an operation's name, the bytes of weights or cache that it reads, and its flops."""
    match op:
        case Linear(x=x, weight=weight):
            info = model.file.tensors[weight.name]
            rows, columns = weight.shape
            name = re.sub(r"^blk\.\d+\.|\.weight$", "", weight.name)
            flops = 2 * rows * columns * len(step.buffers[x])
            return f"linear {name} {info.dtype.name}", info.nbytes, flops
        case Attend(heads=heads, kv_heads=kv_heads, head_dim=size, window=window):
            new, past = len(step.ids), step.spans[0].start
            seen = [past + i + 1 for i in range(new)]
            pairs = sum(seen if window is None else (min(s, window) for s in seen))
            return "attention", 2 * 4 * kv_heads * size * seen[-1], 4 * heads * size * pairs
        case _:
            return kind, 0, 0


def _name(handler: Callable[..., None]) -> str:
    return handler.__name__.strip("_").replace("_", " ")
