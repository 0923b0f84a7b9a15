"""Where the time of a forward pass goes: the program's parts, timed as its backend runs them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.backends.protocol import Timing
from inference.model.ops import Attend, LastRow, Linear, Observe, Operation

if TYPE_CHECKING:
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
    """Run a prompt, then tokens one by one; return what each kind of part took in both.

    A part is what runs as one: an operation, or several that the backend has joined. ``path`` is
    the way that the program takes, ``reason`` what keeps it from the fast one.
    """
    session = model.session()
    capabilities = model.capabilities
    report: dict[str, Any] = {"path": capabilities.path, "reason": capabilities.reason}
    for phase, batches in (("prefill", [prompt]), ("decode", [[token] for token in tokens])):
        costs: dict[str, Cost] = {}
        for ids in batches:
            reader = _Reader(model, session.length, len(ids))
            for timing in session.timed(ids):
                _add(costs, reader, timing)
        ranked = sorted(costs.values(), key=lambda cost: -cost.seconds)
        total = sum(cost.seconds for cost in ranked)
        report[phase] = {
            "seconds": total,
            "bytes": sum(cost.nbytes for cost in ranked),
            "operations": [cost.to_json(total) for cost in ranked],
        }
    return report


def _add(costs: dict[str, Cost], reader: _Reader, timing: Timing) -> None:
    ops = [op for op in timing.ops if not isinstance(op, Observe)]
    if timing.ops and not ops:
        return
    name = reader.name(ops)
    cost = costs.setdefault(name, Cost(name))
    cost.calls += 1
    cost.seconds += timing.seconds
    for op in ops:
        nbytes, flops = reader.cost(op)
        cost.nbytes += nbytes
        cost.flops += flops


class _Reader:
    """What operations on ``new`` tokens after ``past`` ones read and compute."""

    def __init__(self, model: Model, past: int, new: int) -> None:
        self._tensors = model.file.tensors
        self._past, self._new = past, new
        ops = model.program.ops
        narrow = next((i for i, op in enumerate(ops) if isinstance(op, LastRow)), len(ops))
        self._of_last_row = {op.weight.name for op in ops[narrow:] if isinstance(op, Linear)}

    def name(self, ops: list[Operation]) -> str:
        """Return what operations that ran as one are called: by their products, if any."""
        products = [op for op in ops if isinstance(op, Linear)]
        if products:
            names = "+".join(
                re.sub(r"^blk\.\d+\.|\.weight$", "", op.weight.name) for op in products
            )
            types = dict.fromkeys(self._tensors[op.weight.name].dtype.name for op in products)
            return f"linear {names} {'+'.join(types)}"
        if any(isinstance(op, Attend) for op in ops):
            return "attention"
        return "+".join(dict.fromkeys(_words(op) for op in ops)) or "rounding to int8"

    def cost(self, op: Operation) -> tuple[int, int]:
        """Return the bytes of weights or cache that an operation reads, and its flops."""
        match op:
            case Linear(weight=weight):
                rows, columns = weight.shape
                tokens = 1 if weight.name in self._of_last_row else self._new
                return self._tensors[weight.name].nbytes, 2 * rows * columns * tokens
            case Attend(heads=heads, kv_heads=kv_heads, head_dim=size, window=window):
                seen = [self._past + i + 1 for i in range(self._new)]
                pairs = sum(seen if window is None else (min(s, window) for s in seen))
                return 2 * 4 * kv_heads * size * seen[-1], 4 * heads * size * pairs
            case _:
                return 0, 0


def _words(op: Operation) -> str:
    """Return an operation's name in words: ``rms norm``, ``swiglu``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z](?!lu))", " ", type(op).__name__).lower()
