"""A program run operation by operation with the contracted kernels, in NumPy's arrays."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.cache import BlockedKVCache, KVCache
from inference.backends.cpu.linear import LinearLayers
from inference.backends.protocol import Array, Span, Step, Timing
from inference.backends.weights import Weight
from inference.kernels.geglu.cpu import geglu, gelu
from inference.kernels.gqa.blocked import blocked_mix, blocked_scores
from inference.kernels.gqa.cpu import gqa_mix, gqa_scores, gqa_softmax
from inference.kernels.rmsnorm.cpu import rmsnorm
from inference.kernels.rope import interpolated, interpolated_by_parts
from inference.kernels.rope.cpu import rope_frequencies, rope_rotate, rope_table
from inference.kernels.silu.cpu import silu
from inference.kernels.swiglu.cpu import swiglu
from inference.model.config import LinearScaling, Llama3Scaling
from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    GeGlu,
    LastRow,
    Linear,
    Observe,
    Operation,
    Program,
    Remember,
    RmsNorm,
    Rope,
    Scale,
    SwiGlu,
)
from inference.model.stages import Stage


class Run:
    """The state of one run: the step, its named buffers, and the rows of each text in them."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.ids = step.ids
        self.groups = tuple(span.rows for span in step.spans)
        self.buffers: dict[str, Array] = {}
        self._rotary: dict[Hashable, tuple[Array, Array]] = {}

    def rotary(
        self, key: Hashable, frequencies: Callable[[], NDArray[np.float64]]
    ) -> tuple[Array, Array]:
        """Return the cosines and sines of this step's positions; built once for all layers."""
        if key not in self._rotary:
            spans = self.step.spans
            starts = [span.start - span.rows.start for span in spans]
            counts = [span.rows.stop - span.rows.start for span in spans]
            positions = np.arange(len(self.ids)) + np.repeat(starts, counts)
            self._rotary[key] = rope_table(positions, frequencies())
        return self._rotary[key]

    def wants(self, stage: Stage, layer: int | None) -> bool:
        """Tell whether somebody watches the stage."""
        capture = self.step.capture
        return capture is not None and capture.wants(stage, layer)

    def observe(self, stage: Stage, layer: int | None, value: Array) -> None:
        """Show a value to the capture, if there is one that wants it."""
        capture = self.step.capture
        if capture is not None and capture.wants(stage, layer):
            capture.observe(stage, layer, value)


class Operations:
    """Runs programs over one set of weights, one operation after the other."""

    def __init__(
        self,
        weights: Mapping[str, Weight],
        vectors: Mapping[str, NDArray[np.float32]],
        linear: LinearLayers,
    ) -> None:
        self._weights, self._vectors, self._multiply = weights, vectors, linear

    def run(self, program: Program, step: Step) -> Array:
        """Run every operation in order; return the program's output buffer [rows, vocab]."""
        run = Run(step)
        for op in program.ops:
            self._do(op, run)
        return run.buffers[program.output]

    def timed(self, program: Program, step: Step) -> list[Timing]:
        """Run every operation in order; return how long each took."""
        run, timings = Run(step), []
        for op in program.ops:
            begin = time.perf_counter()
            self._do(op, run)
            timings.append(Timing((op,), time.perf_counter() - begin))
        return timings

    def _do(self, op: Operation, run: Run) -> None:
        self.handlers[type(op)](self, op, run)

    def embed(self, op: Embed, run: Run) -> None:
        """Look the tokens up."""
        run.buffers[op.out] = self._weights[op.table.name].take(run.ids)

    def rms_norm(self, op: RmsNorm, run: Run) -> None:
        """Norm every part that is as long as the weight."""
        x, weight = run.buffers[op.x], self._vectors[op.weight.name]
        run.buffers[op.out] = rmsnorm(x.reshape(-1, weight.size), weight, op.eps).reshape(x.shape)

    def linear(self, op: Linear, run: Run) -> None:
        """Multiply by a matrix."""
        run.buffers[op.out] = self._multiply(run.buffers[op.x], op.weight.name, run.groups)

    def add_bias(self, op: AddBias, run: Run) -> None:
        """Add a vector to every row."""
        run.buffers[op.x] = run.buffers[op.x] + self._vectors[op.bias.name]

    def scale(self, op: Scale, run: Run) -> None:
        """Multiply by a number."""
        run.buffers[op.x] = run.buffers[op.x] * np.float32(op.factor)

    def rope(self, op: Rope, run: Run) -> None:
        """Rotate every head by its token's position."""
        x = run.buffers[op.x]
        key = op.head_dim, op.theta, op.scaling, op.divisors
        cos, sin = run.rotary(key, lambda: frequencies_of(op, self._vectors))
        heads = x.reshape(len(x), op.heads, op.head_dim)
        run.buffers[op.x] = rope_rotate(heads, cos, sin, op.neox).reshape(x.shape)

    def remember(self, op: Remember, run: Run) -> None:
        """Append keys and values to the caches."""
        k, v = run.buffers[op.k], run.buffers[op.v]
        for span in run.step.spans:
            cast(KVCache, span.cache).append(op.layer, k[span.rows], v[span.rows])

    def attend(self, op: Attend, run: Run) -> None:
        """Attend text by text, each to its own past."""
        q = run.buffers[op.q]
        mixed = [self._attend_text(op, run, q[span.rows], span) for span in run.step.spans]
        run.buffers[op.out] = mixed[0] if len(mixed) == 1 else np.concatenate(mixed)

    def _attend_text(self, op: Attend, run: Run, q: Array, span: Span) -> Array:
        cache = cast(KVCache, span.cache)
        heads = q.reshape(len(q), op.heads, op.head_dim)
        # What has left the window of the first query has left those of all.
        gone = 0 if op.window is None else max(0, span.start + 1 - op.window)
        if isinstance(cache, BlockedKVCache):
            scores = blocked_scores(heads, cache.keys[op.layer], gone, span.start + len(q))
        else:
            keys, values = cache.view(op.layer, len(q))
            scores = gqa_scores(heads, keys[gone:])
        run.observe(Stage.ATTN_SCORES, op.layer, scores)
        weights = gqa_softmax(scores, span.start - gone, op.window)
        run.observe(Stage.ATTN_SOFTMAX, op.layer, weights)
        if isinstance(cache, BlockedKVCache):
            mixed = blocked_mix(weights, cache.values[op.layer], gone, op.head_dim)
        else:
            mixed = gqa_mix(weights, values[gone:])
        return mixed.reshape(len(q), -1)

    def swiglu(self, op: SwiGlu, run: Run) -> None:
        """Open the gate with SiLU."""
        gate = run.buffers[op.gate]
        if run.wants(Stage.FFN_SILU, op.layer):
            run.observe(Stage.FFN_SILU, op.layer, silu(gate))
        run.buffers[op.out] = swiglu(gate, run.buffers[op.up])

    def geglu(self, op: GeGlu, run: Run) -> None:
        """Open the gate with GELU."""
        gate = run.buffers[op.gate]
        if run.wants(Stage.FFN_SILU, op.layer):
            run.observe(Stage.FFN_SILU, op.layer, gelu(gate))
        run.buffers[op.out] = geglu(gate, run.buffers[op.up])

    def add(self, op: Add, run: Run) -> None:
        """Add one buffer to another."""
        run.buffers[op.x] = run.buffers[op.x] + run.buffers[op.y]

    def last_row(self, op: LastRow, run: Run) -> None:
        """Narrow a buffer down to the last token of each text."""
        if not run.step.every_row:
            last = [rows.stop - 1 for rows in run.groups]
            run.buffers[op.x] = run.buffers[op.x][last]
            run.groups = tuple(slice(i, i + 1) for i in range(len(last)))

    def observe(self, op: Observe, run: Run) -> None:
        """Show buffers, side by side, to whoever watches."""
        if run.wants(op.stage, op.layer):
            parts = [run.buffers[name] for name in op.buffers]
            value = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            run.observe(op.stage, op.layer, value)

    handlers: Mapping[type, Callable[[Any, Any, Run], None]] = {
        Embed: embed,
        RmsNorm: rms_norm,
        Linear: linear,
        AddBias: add_bias,
        Scale: scale,
        Rope: rope,
        Remember: remember,
        Attend: attend,
        SwiGlu: swiglu,
        GeGlu: geglu,
        Add: add,
        LastRow: last_row,
        Observe: observe,
    }


def frequencies_of(op: Rope, vectors: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return the rotary frequencies [head_dim / 2] of an operation, scaled and divided."""
    frequencies = rope_frequencies(op.head_dim, op.theta)
    match op.scaling:
        case LinearScaling(factor):
            frequencies = interpolated(frequencies, factor)
        case Llama3Scaling(factor, low, high, context):
            frequencies = interpolated_by_parts(frequencies, factor, low, high, context)
    if op.divisors is not None:
        frequencies = frequencies / vectors[op.divisors.name]
    return frequencies
