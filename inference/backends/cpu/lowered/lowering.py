"""From a program of operations to the table that the compiled executor reads.

What is merged: a norm and the rounding of its result; the operations on the heads of one key/value
head; a product and the sum that it goes into; the two products and the activation of a gate.
Threads meet only where one may read or overwrite what another has written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.buffers import Buffers
from inference.backends.cpu.lowered.entries import (
    TOKENS,
    CannotLowerError,
    Entries,
    Group,
    Part,
    Rounded,
    int8,
)
from inference.backends.cpu.lowered.lifetimes import head_parts, is_dead, widths
from inference.backends.cpu.lowered.parts import open_code
from inference.kernels.cpu.memory import address_of
from inference.kernels.qmatmul import PackedWeight
from inference.kernels.qmatmul.cpu import correction_of, kernel_code, scratch_bytes
from inference.kernels.qmatmul.lanes import ROWS
from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    Gate,
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

CHUNK = 4
"""Groups of 16 rows that a thread takes at a time: as many cache lines of a token's result."""
_VOCABULARY_CHUNK = 32
_BLOCK_TOKENS = 16  # tokens whose keys share cache lines


@dataclass(frozen=True, slots=True)
class Table:
    """A lowered program. ``labels`` say what the entry that begins at a row computes.

    ``queries`` and ``head_dim`` bound what attention holds at a time, ``columns`` is the width of
    the output, and ``last_row`` says whether the program narrows down to the wanted tokens.
    ``places`` says of each operation (observations not counted) which row carries it out, and which
    column of the taps takes what it writes.
    """

    rows: NDArray[np.int64]
    reals: NDArray[np.float64]
    labels: Mapping[int, str]
    places: Mapping[int, tuple[int, int]]
    scratch_bytes: int
    queries: int
    head_dim: int
    columns: int
    last_row: bool

    def label_of(self, row: int) -> str:
        """Return what the entry computes that a row belongs to."""
        return self.labels[max(begin for begin in self.labels if begin <= row)]


class Lowering(Entries):
    """One pass over a program. ``many``: for more than one token."""

    def __init__(
        self,
        program: Program,
        buffers: Buffers,
        vectors: Mapping[str, NDArray[np.float32]],
        packed: Mapping[str, PackedWeight],
        angles: Callable[[Rope], int],
        *,
        many: bool,
    ) -> None:
        ops = [op for op in program.ops if not isinstance(op, Observe)]
        super().__init__(ops, program.output, buffers, many=many)
        self._vectors, self._packed = vectors, packed
        self._numbers = {name: i for i, name in enumerate(packed)}
        self._shapes = shapes_of(packed)
        self._angles = angles
        unknown = {type(op).__name__ for op in self._ops if type(op) not in self._handlers}
        if unknown or not self._ops or not isinstance(self._ops[0], Embed):
            raise CannotLowerError(
                f"no row for {', '.join(sorted(unknown))}"
                if unknown
                else "the program does not begin with an embedding"
            )
        self._widths = widths(self._ops)
        for name in {name for wide in self._widths for name in wide}:
            widest = max(wide.get(name, 0) for wide in self._widths)
            buffers.widths[name] = buffers.widths[_other(name)] = -(-widest // ROWS) * ROWS
        self._scratch = 4096

    def table(self) -> Table:
        """Lower everything but the embedding, which comes first."""
        self._at = 1
        while self._at < len(self._ops):
            op = self._ops[self._at]
            self._at += self._handlers[type(op)](self, op)
        self._flush()
        attends = [op for op in self._ops if isinstance(op, Attend)]
        return Table(
            *self._arrays(), self._labels, self._places, self._scratch,
            max((op.heads // op.kv_heads for op in attends), default=0),
            max((op.head_dim for op in attends), default=0),
            self._widths[-1][self._output], self._last,
        )  # fmt: skip

    # Each method for an operation returns how many operations it has dealt with.

    def _size(self, name: str) -> int:
        return self._widths[self._at][name]

    def _in_place(self, op: Any, kind: int, columns: dict[int, int], real: float = 0.0) -> int:
        parts = head_parts(self._ops, self._at, op.x)
        sizes = {t.X_SIZE: self._size(op.x) // parts}
        return self._part(op, Part(kind, op.x, None, sizes | columns, {t.REAL: real}), parts)

    def _rms_norm(self, op: RmsNorm) -> int:
        weight = self._vectors[op.weight.name]
        parts = head_parts(self._ops, self._at, op.x) if op.x == op.out else 1
        if self._size(op.x) // parts % weight.size:
            parts = 1
        size = self._size(op.x) // parts
        columns = {t.X_SIZE: size, t.Y_SIZE: size, t.PARAMETER: address_of(weight),
                   t.HEAD: weight.size}  # fmt: skip
        part = Part(t.NORM, op.x, op.out, columns, {t.REAL: op.eps})
        return self._part(op, part, parts, plain=True)

    def _add_bias(self, op: AddBias) -> int:
        return self._in_place(op, t.BIAS, {t.PARAMETER: address_of(self._vectors[op.bias.name])})

    def _scale(self, op: Scale) -> int:
        return self._in_place(op, t.SCALE, {}, float(np.float32(op.factor)))

    def _rope(self, op: Rope) -> int:
        columns = {t.HEAD: op.head_dim, t.NEOX: int(op.neox), t.ANGLES: self._angles(op)}
        return self._in_place(op, t.ROPE, columns)

    def _remember(self, op: Remember) -> int:
        parts = head_parts(self._ops, self._at, op.k)
        size = self._size(op.k) // parts
        value, width = self._place(op.v)
        columns = {t.X_SIZE: size, t.HEAD: size, t.LAYER: op.layer,
                   t.Y: value, t.Y_WIDTH: width, t.Y_SIZE: size}  # fmt: skip
        chunk = _BLOCK_TOKENS * parts
        self._part(op, Part(t.REMEMBER, op.k, None, columns), parts, chunk=chunk)
        assert self._group is not None
        self._group.writes.add(_past(op.layer))
        return 1

    def _attend(self, op: Attend) -> int:
        if self._group is not None and (self._many or _past(op.layer) not in self._group.writes):
            self._flush()  # other units' keys are needed
        size = self._size(op.q) // op.kv_heads
        columns = {t.X_SIZE: size, t.Y_SIZE: size, t.HEAD: op.head_dim, t.LAYER: op.layer,
                   t.WINDOW: op.window or 0}  # fmt: skip
        part = Part(t.ATTEND, op.q, op.out, columns)
        self._part(op, part, op.kv_heads, chunk=op.kv_heads)
        assert self._group is not None
        self._group.reads.add(_past(op.layer))
        return 1

    def _gate(self, op: Gate) -> int:
        if self._last:
            raise CannotLowerError("a gate after the last row was chosen")
        up, width = self._place(op.up)
        out, out_width = self._place(op.out)
        size = self._size(op.gate)
        columns = {t.X_SIZE: size, t.Y: up, t.Y_WIDTH: width, t.PARAMETER: out, t.HEAD: out_width,
                   t.OPENER: open_code(type(op))}  # fmt: skip
        return self._part(op, Part(t.GATE, op.gate, None, columns), 1)

    def _add(self, op: Add) -> int:
        y, width = self._place(op.y)
        if self._last:
            raise CannotLowerError("a sum after the last row was chosen")
        columns = {t.X_SIZE: self._size(op.x), t.Y: y, t.Y_WIDTH: width}
        return self._part(op, Part(t.ADD, op.x, None, columns), 1)

    def _last_row(self, op: LastRow) -> int:
        if self._many:  # one token is the last one anyway
            self._flush()
            self._last = True
            self._rounded.clear()
        return 1

    def _linear(self, op: Linear) -> int:
        after = self._ops[self._at + 1 : self._at + 3]
        match after:
            case [Linear(x=op.x) as other, Gate() as gate, *_] if (
                (op.out, other.out) == (gate.gate, gate.up)
                and op.weight.shape == other.weight.shape
                and gate.out not in (op.out, other.out, op.x)
                and not self._last
                and is_dead({op.out, other.out}, self._ops, self._at + 3, ())
            ):
                return self._gated(op, other, gate)
            case _:
                pass
        rounded = self._round(op)
        self._flush()
        weight = self._packed[op.weight.name]
        reads = set() if rounded.own else {int8(op.x)}
        writes, dealt_with = {op.out}, 1
        if op.out == op.x:  # other threads may still be rounding what this one would overwrite
            now = self._names.get(op.x, op.x)
            self._names[op.x] = _other(op.x) if now == op.x else op.x
        row = self._matrix(op, weight, rounded)
        if op.out == self._output:
            row[t.WIDTH] = self._buffers.widths[op.out]
        else:
            row[t.OUT], row[t.WIDTH] = self._place(op.out)
        match after:
            case [Add(x=x, y=op.out), *_] if x != op.out and not self._last:
                row[t.TARGET], row[t.TARGET_WIDTH] = self._place(x)
                reads.add(x)
                writes.add(x)
                dealt_with = 2
            case _:
                pass
        row[t.OP] = t.LINEAR
        at = self._emit(op.weight.name, row, self._now(reads), self._now(writes))
        self._places[self._at] = at, t.TAP
        if dealt_with == 2:
            self._places[self._at + 1] = at, t.TAP_TARGET
        if self._last:
            self._dense.add(op.out)
        for name in writes:
            self._rounded.pop(name, None)
        return dealt_with

    def _gated(self, op: Linear, other: Linear, gate: Gate) -> int:
        rounded = self._round(op), self._round(other)
        self._flush()
        rows = [
            self._matrix(linear, self._packed[linear.weight.name], copy)
            for linear, copy in zip((op, other), rounded, strict=True)
        ]
        out, width = self._place(gate.out)
        head = {
            t.OP: t.GATED, t.CODE: open_code(type(gate)), t.OUT: out, t.WIDTH: width,
            t.GROUPS: rows[0][t.GROUPS], t.CHUNK: CHUNK, t.OWN_ROWS: rows[0][t.OWN_ROWS],
        }  # fmt: skip
        tokens = self._buffers.rows if self._many else 1
        self._scratch = max(
            self._scratch, 2 * 4 * ROWS * CHUNK * tokens + scratch_bytes(rounded[0].blocks)
        )
        reads = set() if rounded[0].own else {int8(op.x)}
        label = f"{op.weight.name}+{other.weight.name}"
        at = self._emit(label, head, reads, self._now({gate.out}))
        for number, row in enumerate((at + 1, at + 2, at), self._at):
            self._places[number] = row, t.TAP
        self._rows += rows
        self._reals += [{}, {}]
        self._rounded.pop(gate.out, None)
        return 3

    def _matrix(self, op: Linear, weight: PackedWeight, rounded: Rounded) -> dict[int, int]:
        form, factor, per_block = correction_of(weight.dtype)
        groups = -(-weight.rows // ROWS)
        self._scratch = max(self._scratch, scratch_bytes(rounded.blocks))
        return {
            t.KERNEL: int(weight.dtype), t.CODE: kernel_code(weight.dtype),
            t.PACKED: address_of(weight.data, op.weight.name),
            t.BLOCKS: rounded.blocks, t.GROUPS: groups, t.Q: rounded.q, t.SCALES: rounded.scales,
            t.FIX: rounded.fixes[form, factor], t.FIX_BYTES: 4 * per_block,
            t.MATRIX: self._numbers[op.weight.name],
            t.SHAPE: self._shapes.index((weight.rows, weight.cols)), t.OWN_ROWS: int(rounded.own),
            t.CHUNK: CHUNK if groups < 64 * _VOCABULARY_CHUNK else _VOCABULARY_CHUNK,
        }  # fmt: skip

    def _round(self, op: Linear) -> Rounded:
        """Have the operand of a product rounded for this one and those that share it."""
        blocks = self._packed[op.weight.name].padded_cols // 32
        if op.x not in self._rounded:
            self._rounded[op.x] = self._round_for(op)
        return next(copy for copy in self._rounded[op.x] if copy.blocks == blocks)

    def _round_for(self, op: Linear) -> list[Rounded]:
        size = self._size(op.x)
        if size % 32:
            raise CannotLowerError(f"{op.weight.name} has {size} columns, not a multiple of 32")
        copies: dict[int, Rounded] = {}
        for sharing in self._sharing(op):
            weight = self._packed[sharing.weight.name]
            blocks = weight.padded_cols // 32
            key = int8(op.x), size, blocks
            rounded = copies.get(blocks)
            if rounded is None:
                q, scales = (
                    self._buffers.memory((*key, what), width * blocks)
                    for what, width in (("q", 32), ("scales", 4))
                )
                rounded = copies[blocks] = Rounded(q, scales, blocks, {})
                self._rounding(op, t.QUANTIZE, rounded, {})
            form, factor, per_block = correction_of(weight.dtype)
            if (form, factor) not in rounded.fixes:
                fixes = self._buffers.memory((*key, form, factor), 4 * per_block * blocks)
                rounded.fixes[form, factor] = fixes
                columns = {t.FORM: form, t.FACTOR: factor, t.FIXES: fixes}
                self._rounding(op, t.CORRECT, rounded, columns)
        assert self._group is not None
        self._group.rounded[op.x] = list(copies.values())
        return list(copies.values())

    def _rounding(self, op: Linear, kind: int, rounded: Rounded, columns: dict[int, int]) -> None:
        common = {t.X_SIZE: self._size(op.x), t.ROUND_Q: rounded.q,
                  t.ROUND_SCALES: rounded.scales, t.ROUND_BLOCKS: rounded.blocks}  # fmt: skip
        part = Part(kind, op.x, None, common | columns)
        if self._group is not None and self._group.parts != 1:
            self._flush()
        if self._group is None:
            self._group = Group(1, "", chunk=TOKENS if self._many else 1)
        self._group.reads.add(op.x)
        self._group.rows.append(part)
        if not self._group.name.endswith("int8"):
            self._group.name += "+int8" if self._group.name else "int8"

    def _sharing(self, op: Linear) -> Sequence[Linear]:
        """Return the products from here on that read the same values."""
        found = []
        for later in self._ops[self._at :]:
            if isinstance(later, LastRow) and self._many:
                break
            if isinstance(later, Linear) and later.x == op.x:
                found.append(later)
            if op.x in later.writes:
                break
        return found

    _handlers: Mapping[type, Callable[[Any, Any], int]] = {
        Embed: lambda self, op: 1,
        RmsNorm: _rms_norm,
        Linear: _linear,
        AddBias: _add_bias,
        Scale: _scale,
        Rope: _rope,
        Remember: _remember,
        Attend: _attend,
        SwiGlu: _gate,
        GeGlu: _gate,
        Add: _add,
        LastRow: _last_row,
    }


def shapes_of(packed: Mapping[str, PackedWeight]) -> list[tuple[int, int]]:
    """Return the distinct shapes of matrices, in the order in which kernels are counted by them."""
    return list(dict.fromkeys((weight.rows, weight.cols) for weight in packed.values()))


def _other(name: str) -> str:
    """Name a buffer's second place."""
    return f"{name}'"


def _past(layer: int) -> str:
    return f"past of layer {layer}"
