"""Runs a decoder's program on the CPU with the contracted kernels.

Operation by operation where somebody watches, or in one call of compiled code.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.cache import BlockedKVCache, KVCache
from inference.backends.cpu.linear import Dispatch, LinearLayers
from inference.backends.cpu.lowered.compiled import CompiledProgram
from inference.backends.cpu.lowered.entries import CannotLowerError
from inference.backends.weights import Numerics, Weight, resolve_vectors
from inference.kernels.geglu import geglu, gelu
from inference.kernels.gqa import (
    blocked_mix,
    blocked_scores,
    gqa_mix,
    gqa_scores,
    gqa_softmax,
)
from inference.kernels.rmsnorm import rmsnorm
from inference.kernels.rope import (
    interpolated,
    interpolated_by_parts,
    rope_frequencies,
    rope_rotate,
    rope_table,
)
from inference.kernels.silu import silu
from inference.kernels.swiglu import swiglu
from inference.model.config import LinearScaling, Llama3Scaling, ModelConfig
from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    GeGlu,
    LastRow,
    Linear,
    Observe,
    Program,
    Remember,
    RmsNorm,
    Rope,
    Scale,
    SwiGlu,
)
from inference.model.stages import Stage
from inference.trace.capture import Capture

Array = NDArray[np.float32]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of a step that go on with one text; its past is ``start`` tokens in ``cache``."""

    rows: slice
    cache: KVCache
    start: int


class Step:
    """The state of one run of a program: token ids, positions, named buffers.

    ``texts`` are new tokens with the past that they go on with; the tokens of several texts are
    stacked. ``groups`` are the rows of each text in the buffers.
    """

    def __init__(
        self,
        texts: Sequence[tuple[IntArray, KVCache]],
        *,
        every_row: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self.ids = np.concatenate([ids for ids, _ in texts])
        ends = np.cumsum([len(ids) for ids, _ in texts]).tolist()
        self.spans = tuple(
            Span(slice(end - len(ids), end), cache, cache.length)
            for end, (ids, cache) in zip(ends, texts, strict=True)
        )
        self.groups = tuple(span.rows for span in self.spans)
        self.every_row = every_row
        self.capture = capture
        self.buffers: dict[str, Array] = {}
        self._rotary: dict[Hashable, tuple[Array, Array]] = {}

    def rotary(
        self, key: Hashable, frequencies: Callable[[], NDArray[np.float64]]
    ) -> tuple[Array, Array]:
        """Return the cosines and sines of this step's positions; built once for all layers."""
        if key not in self._rotary:
            starts = [span.start - span.rows.start for span in self.spans]
            counts = [span.rows.stop - span.rows.start for span in self.spans]
            positions = np.arange(len(self.ids)) + np.repeat(starts, counts)
            self._rotary[key] = rope_table(positions, frequencies())
        return self._rotary[key]

    def observe(self, stage: Stage, layer: int | None, value: Array) -> None:
        """Show a value to the capture, if there is one that wants it."""
        if self.capture is not None and self.capture.wants(stage, layer):
            self.capture.observe(stage, layer, value)


class CpuBackend:
    """Executes programs over one set of weights."""

    name = "cpu"

    def __init__(self, weights: Mapping[str, Weight], numerics: Numerics) -> None:
        self._weights = weights
        self._numerics = numerics
        self._vectors = resolve_vectors(weights)
        self._linear = LinearLayers(
            {name: weight for name, weight in weights.items() if name not in self._vectors},
            numerics,
        )
        # With the program, so that its identity is not given to another.
        self._compiled: dict[int, tuple[Program, CompiledProgram | None]] = {}
        self._compiling = threading.Lock()

    @property
    def dispatch(self) -> Sequence[Dispatch]:
        """Which kernel serves each matrix, and how often it ran."""
        whole: Counter[str] = Counter()
        for _, compiled in self._compiled.values():
            if compiled is not None:
                whole.update(compiled.calls)
        return tuple(
            replace(entry, calls=entry.calls + whole[name])
            for name, entry in self._linear.log.items()
        )

    def cache(self, config: ModelConfig) -> KVCache:
        """Return an empty cache, laid out for the way in which programs run here."""
        kind = BlockedKVCache if self._numerics == "fused" else KVCache
        return kind(config.layers, config.kv_heads, config.head_dim, capacity=config.context_length)

    def run(self, program: Program, step: Step) -> Array:
        """Run every operation in order; return the program's output buffer [rows, vocab].

        Unless somebody watches, a program over packed weights runs in one call of compiled code,
        to the same result. The tokens join the cache only when the whole program has run.
        """
        for span in step.spans:
            span.cache.reserve(span.rows.stop - span.rows.start)
        compiled = self.compiled(program) if step.capture is None else None
        texts = [
            (step.ids[span.rows], span.cache)
            for span in step.spans
            if isinstance(span.cache, BlockedKVCache)
        ]
        if compiled is not None and len(texts) == len(step.spans):
            output = compiled.run(texts, every_row=step.every_row)
        else:
            for op in program.ops:
                self.handlers[type(op)](self, op, step)
            output = step.buffers[program.output]
        for span in step.spans:
            span.cache.commit(span.rows.stop - span.rows.start)
        return output

    def compiled(self, program: Program) -> CompiledProgram | None:
        """Return the program made ready to run in one call; ``None`` where that is impossible.

        It takes packed weights, and operations that mean what they mean here.
        """
        if not self._linear.all_packed or self.handlers is not _HANDLERS:
            return None
        known = self._compiled.get(id(program))
        if known is None:
            with self._compiling:
                known = self._compiled.get(id(program))
                if known is None:
                    known = self._compiled[id(program)] = program, self._compile(program)
        return known[1]

    def expect(self, program: Program) -> None:
        """Make memory ready for a program that will run."""
        self._linear.expect(_matrices(program))

    def _compile(self, program: Program) -> CompiledProgram | None:
        packed = {name: self._linear.pack(name) for name in _matrices(program)}
        try:
            return CompiledProgram(program, self._weights, self._vectors, packed, self._frequencies)
        except CannotLowerError:
            return None

    def _embed(self, op: Embed, step: Step) -> None:
        step.buffers[op.out] = self._weights[op.table.name].take(step.ids)

    def _rms_norm(self, op: RmsNorm, step: Step) -> None:
        x, weight = step.buffers[op.x], self._vectors[op.weight.name]
        step.buffers[op.out] = rmsnorm(x.reshape(-1, weight.size), weight, op.eps).reshape(x.shape)

    def _linear_layer(self, op: Linear, step: Step) -> None:
        step.buffers[op.out] = self._linear(step.buffers[op.x], op.weight.name, step.groups)

    def _add_bias(self, op: AddBias, step: Step) -> None:
        step.buffers[op.x] = step.buffers[op.x] + self._vectors[op.bias.name]

    def _scale(self, op: Scale, step: Step) -> None:
        step.buffers[op.x] = step.buffers[op.x] * np.float32(op.factor)

    def _rope(self, op: Rope, step: Step) -> None:
        x = step.buffers[op.x]
        key = op.head_dim, op.theta, op.scaling, op.divisors
        cos, sin = step.rotary(key, lambda: self._frequencies(op))
        heads = x.reshape(len(x), op.heads, op.head_dim)
        step.buffers[op.x] = rope_rotate(heads, cos, sin, op.neox).reshape(x.shape)

    def _frequencies(self, op: Rope) -> NDArray[np.float64]:
        frequencies = rope_frequencies(op.head_dim, op.theta)
        match op.scaling:
            case LinearScaling(factor):
                frequencies = interpolated(frequencies, factor)
            case Llama3Scaling(factor, low, high, context):
                frequencies = interpolated_by_parts(frequencies, factor, low, high, context)
        if op.divisors is not None:
            frequencies = frequencies / self._vectors[op.divisors.name]
        return frequencies

    def _remember(self, op: Remember, step: Step) -> None:
        k, v = step.buffers[op.k], step.buffers[op.v]
        for span in step.spans:
            span.cache.append(op.layer, k[span.rows], v[span.rows])

    def _attend(self, op: Attend, step: Step) -> None:
        q = step.buffers[op.q]
        mixed = [self._attend_text(op, step, q[span.rows], span) for span in step.spans]
        step.buffers[op.out] = mixed[0] if len(mixed) == 1 else np.concatenate(mixed)

    def _attend_text(self, op: Attend, step: Step, q: Array, span: Span) -> Array:
        cache = span.cache
        heads = q.reshape(len(q), op.heads, op.head_dim)
        # What has left the window of the first query has left those of all.
        gone = 0 if op.window is None else max(0, span.start + 1 - op.window)
        if isinstance(cache, BlockedKVCache):
            scores = blocked_scores(heads, cache.keys[op.layer], gone, span.start + len(q))
        else:
            keys, values = cache.view(op.layer, len(q))
            scores = gqa_scores(heads, keys[gone:])
        step.observe(Stage.ATTN_SCORES, op.layer, scores)
        weights = gqa_softmax(scores, span.start - gone, op.window)
        step.observe(Stage.ATTN_SOFTMAX, op.layer, weights)
        if isinstance(cache, BlockedKVCache):
            mixed = blocked_mix(weights, cache.values[op.layer], gone, op.head_dim)
        else:
            mixed = gqa_mix(weights, values[gone:])
        return mixed.reshape(len(q), -1)

    def _swiglu(self, op: SwiGlu, step: Step) -> None:
        gate = step.buffers[op.gate]
        if step.capture is not None and step.capture.wants(Stage.FFN_SILU, op.layer):
            step.capture.observe(Stage.FFN_SILU, op.layer, silu(gate))
        step.buffers[op.out] = swiglu(gate, step.buffers[op.up])

    def _geglu(self, op: GeGlu, step: Step) -> None:
        gate = step.buffers[op.gate]
        if step.capture is not None and step.capture.wants(Stage.FFN_SILU, op.layer):
            step.capture.observe(Stage.FFN_SILU, op.layer, gelu(gate))
        step.buffers[op.out] = geglu(gate, step.buffers[op.up])

    def _add(self, op: Add, step: Step) -> None:
        step.buffers[op.x] = step.buffers[op.x] + step.buffers[op.y]

    def _last_row(self, op: LastRow, step: Step) -> None:
        if not step.every_row:
            last = [rows.stop - 1 for rows in step.groups]
            step.buffers[op.x] = step.buffers[op.x][last]
            step.groups = tuple(slice(i, i + 1) for i in range(len(last)))

    def _observe(self, op: Observe, step: Step) -> None:
        if step.capture is not None and step.capture.wants(op.stage, op.layer):
            parts = [step.buffers[name] for name in op.buffers]
            value = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            step.capture.observe(op.stage, op.layer, value)

    handlers: Mapping[type, Callable[[Any, Any, Step], None]] = {
        Embed: _embed,
        RmsNorm: _rms_norm,
        Linear: _linear_layer,
        AddBias: _add_bias,
        Scale: _scale,
        Rope: _rope,
        Remember: _remember,
        Attend: _attend,
        SwiGlu: _swiglu,
        GeGlu: _geglu,
        Add: _add,
        LastRow: _last_row,
        Observe: _observe,
    }


def _matrices(program: Program) -> Collection[str]:
    """Return the names of what the program multiplies, each once, in order."""
    return dict.fromkeys(op.weight.name for op in program.ops if isinstance(op, Linear))


_HANDLERS = CpuBackend.handlers  # those whose meaning the compiled executor has
