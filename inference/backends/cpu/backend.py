"""Runs a decoder's program on the CPU with the contracted kernels.

In one call of compiled code where all of it can be lowered, else operation by operation; which way
a program takes, and why not the fast one, is known and said.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inference.backends.cpu.cache import BlockedKVCache, KVCache
from inference.backends.cpu.linear import INT8, LinearLayers
from inference.backends.cpu.lowered import CannotLowerError, CompiledProgram
from inference.backends.cpu.operations import Operations, frequencies_of
from inference.backends.metrics import DispatchMetrics
from inference.backends.placement import Device
from inference.backends.protocol import Array, Capabilities, Dispatch, Step, Timing
from inference.backends.weights import Numerics, Weight, resolve_vectors
from inference.formats.faults import check_faults
from inference.memory import needing, room_for_blas
from inference.model.config import ModelConfig
from inference.model.ops import Linear, Program

ASKED = "operation by operation was asked for"


@dataclass(frozen=True, slots=True)
class _Plan:
    """The way that a program takes; with the program, so that its identity stays its own."""

    program: Program
    capabilities: Capabilities
    compiled: CompiledProgram | None = None


class CpuBackend:
    """Executes programs over one set of weights; ``lowered=False`` keeps to single operations."""

    name = "cpu"

    def __init__(
        self, weights: Mapping[str, Weight], numerics: Numerics, *, lowered: bool = True
    ) -> None:
        self.metrics = DispatchMetrics()
        self._weights = weights
        self._numerics = numerics
        self._lowered = lowered
        self._vectors = resolve_vectors(weights)
        room_for_blas("scipy.linalg", "to compile the kernels")  # Numba imports it then
        self._linear = LinearLayers(
            {name: weight for name, weight in weights.items() if name not in self._vectors},
            numerics,
        )
        self._operations = Operations(weights, self._vectors, self._linear)
        self._plans: dict[int, _Plan] = {}
        self._planning = threading.RLock()  # a signal handler may come here again

    @property
    def dispatch(self) -> Sequence[Dispatch]:
        """Which kernel serves each matrix, which way it runs, and how often it ran."""
        whole: Counter[str] = Counter()
        slow = [""] if self._plans else [self._obstacle(self._linear.log)]
        for plan in self._plans.values():
            if plan.compiled is not None:
                whole.update(plan.compiled.calls)
            slow.append(plan.capabilities.reason)
        reason = max(slow, key=len)
        return tuple(
            replace(
                entry,
                calls=entry.calls + whole[entry.tensor],
                path="operations" if reason else "lowered",
                reason=reason,
            )
            for entry in self._linear.log.values()
        )

    def cache(self, config: ModelConfig) -> KVCache:
        """Return an empty cache, laid out for the way in which programs run here."""
        kind = BlockedKVCache if self._numerics == "fused" else KVCache
        return kind(config.layers, config.kv_heads, config.head_dim, capacity=config.context_length)

    def capabilities(self, program: Program) -> Capabilities:
        """Tell which way the program takes; the first time, it is made ready for that."""
        return self._plan(program).capabilities

    def run(self, program: Program, step: Step) -> Array:
        """Run the program; return its output buffer [rows, vocab].

        Both ways give the same bits over packed weights, watched or not. The tokens join the cache
        only when the whole program has run.
        """
        begin = time.perf_counter_ns()
        with needing("to run the model"):
            plan = self._ready(program, step)
            if plan.compiled is not None:
                output = plan.compiled.run(step)
            else:
                output = self._operations.run(program, step)
        check_faults(self._mapped())
        self._commit(step)
        self.metrics.record(Device.CPU, (time.perf_counter_ns() - begin) // 1000)
        return output

    def _mapped(self) -> Iterator[int]:
        """Yield where the packed weights lie that are read from a file as they are used."""
        for weight in self._weights.values():
            yield weight.packed.__array_interface__["data"][0]

    def timed(self, program: Program, step: Step) -> Sequence[Timing]:
        """Run the program as `run` does; return what its parts took, in their order."""
        plan = self._ready(program, step)
        if plan.compiled is not None:
            timings = plan.compiled.timed(step)
        else:
            timings = self._operations.timed(program, step)
        self._commit(step)
        return timings

    def expect(self, program: Program) -> None:
        """Make memory ready for a program that will run."""
        self._linear.expect(_matrices(program))

    def _ready(self, program: Program, step: Step) -> _Plan:
        for span in step.spans:
            span.cache.reserve(span.rows.stop - span.rows.start)
        plan = self._plan(program)
        if step.capture is not None:
            step.capture.ran(plan.capabilities.path)
        return plan

    def _commit(self, step: Step) -> None:
        for span in step.spans:
            span.cache.commit(span.rows.stop - span.rows.start)

    def _plan(self, program: Program) -> _Plan:
        known = self._plans.get(id(program))
        if known is None:
            with self._planning:
                known = self._plans.get(id(program))
                if known is None:
                    known = self._plans[id(program)] = self._planned(program)
        return known

    def _planned(self, program: Program) -> _Plan:
        reason = self._obstacle(_matrices(program))
        if not reason:
            packed = {name: self._linear.pack(name) for name in _matrices(program)}
            try:
                compiled = CompiledProgram(
                    program,
                    self._weights,
                    self._vectors,
                    packed,
                    lambda op: frequencies_of(op, self._vectors),
                )
                return _Plan(program, Capabilities("lowered"), compiled)
            except CannotLowerError as error:
                reason = str(error)
        return _Plan(program, Capabilities("operations", reason))

    def _obstacle(self, matrices: Collection[str]) -> str:
        """Return what keeps a program that multiplies these from the fast way, if anything."""
        if not self._lowered:
            return ASKED
        if self._numerics != "fused":
            return f"numerics {self._numerics}: matrices are multiplied in float32"
        entries = (self._linear.log[name] for name in matrices)
        floats = [entry for entry in entries if entry.product != INT8]
        if not floats:
            return ""
        more = f" and {len(floats) - 1} more" if len(floats) > 1 else ""
        return f"{floats[0].tensor}{more}: no integer kernel for {floats[0].dtype.name}"


def _matrices(program: Program) -> Collection[str]:
    """Return the names of what the program multiplies, each once, in order."""
    return dict.fromkeys(op.weight.name for op in program.ops if isinstance(op, Linear))
