"""A lowered run that somebody watches: the same rows, with taps that copy out what they write.

The table is the one that an unwatched run executes. Taps lie beside it, in memory of their own; the
run pauses where all that is wanted of a layer has been seen, so that the copies of one layer are
given up before those of the next are made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.lifetimes import widths
from inference.backends.cpu.lowered.lowering import Table
from inference.backends.protocol import Array, Step
from inference.errors import InputError
from inference.kernels.cpu.memory import address_of
from inference.kernels.geglu.cpu import gelu
from inference.kernels.qmatmul.lanes import ROWS
from inference.kernels.silu.cpu import silu
from inference.model.ops import Attend, Gate, LastRow, Observe, Operation, Program
from inference.model.stages import Stage

_OPENERS = {"silu": silu, "gelu": gelu}
_EMBEDDED = 0  # the operation that Python carries out before the table begins


@dataclass(frozen=True, slots=True)
class Source:
    """What an operation has written: ``columns`` of a buffer, for every token or the wanted ones.

    ``number`` is that of the operation, ``column`` the tap's; ``narrowed``: only the wanted rows
    of it are left at the time of the observation.
    """

    number: int
    row: int
    column: int
    columns: int
    narrowed: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that somebody wants: where it comes from, and what is made of it."""

    stage: Stage
    layer: int | None
    sources: tuple[Source, ...]
    attend: Attend | None = None
    opener: Callable[[Array], Array] | None = None


@dataclass(slots=True)
class Taps:
    """Memory for what rows write: copies by row and column of the taps."""

    rows: NDArray[np.int64]
    held: dict[tuple[int, int], Array] = field(default_factory=dict)

    def matrix(self, source: Source, tokens: int) -> None:
        """Have the row's output copied, [tokens, columns filled up]."""
        key = source.row, source.column
        if key not in self.held:
            width = -(-source.columns // ROWS) * ROWS
            self.held[key] = copies = np.zeros((tokens, width), np.float32)
            self.rows[source.row, [source.column, source.column + 1]] = address_of(copies), width

    def attention(self, row: int, heads: int, tokens: int, first: int, keys: int) -> None:
        """Have scores and weights of an attention copied, [heads, tokens, keys]."""
        for column in (t.TAP_SCORES, t.TAP_WEIGHTS):
            self.held[row, column] = copies = np.zeros((heads, tokens, keys), np.float32)
            self.rows[row, column] = address_of(copies)
        self.rows[row, [t.TAP_KEYS, t.TAP_FIRST]] = keys, first


class Watch:
    """What a capture wants of one program, and where its table writes that."""

    def __init__(self, program: Program, table: Table, step: Step) -> None:
        assert step.capture is not None
        self._capture = step.capture
        self._step, self._table = step, table
        self._wanted = list(_wanted(program, table, step))
        self._begins = [*table.labels, len(table.rows)]

    def segments(self) -> Iterator[tuple[int, int, list[Wanted]]]:
        """Yield (first row, end, what is complete by then); together they cover the table."""
        begin = 0
        waiting: list[Wanted] = []
        everything = tuple(self._wanted)
        for wanted, after in zip_longest(everything, everything[1:]):
            waiting.append(wanted)
            if after is not None and after.layer != wanted.layer:
                end = max([begin, *(self._after(s.row) for w in waiting for s in w.sources)])
                yield begin, end, waiting
                begin, waiting = end, []
        yield begin, len(self._table.rows), waiting

    def _after(self, row: int) -> int:
        """Return where the entry ends that a row belongs to."""
        return self._begins[bisect_right(self._begins, row)] if row >= 0 else 0

    def taps(self, begin: int, end: int, wanted_rows: int) -> Taps:
        """Return taps for everything wanted that the rows begin..end−1 write."""
        taps = Taps(np.zeros((len(self._table.rows), t.TAP_COLUMNS), np.int64))
        for wanted in self._wanted:
            for source in wanted.sources:
                if begin <= source.row < end:
                    self._tap(taps, wanted, source, wanted_rows)
        return taps

    def _tap(self, taps: Taps, wanted: Wanted, source: Source, wanted_rows: int) -> None:
        if wanted.attend is None:
            taps.matrix(source, wanted_rows if self._dense(source) else len(self._step.ids))
        elif (source.row, source.column) not in taps.held:
            first, keys = _keys(wanted.attend, self._step)
            taps.attention(source.row, wanted.attend.heads, len(self._step.ids), first, keys)

    def _dense(self, source: Source) -> bool:
        """Tell whether a row writes the wanted tokens only, one after the other."""
        row = self._table.rows[source.row]
        if row[t.OP] == t.LINEAR:
            return bool(row[t.LAST])
        at = t.Y_AT if row[t.OP] in (t.NORM, t.ATTEND) else t.X_AT
        return bool(row[t.OP] != t.GATED and row[at] == t.DENSE)

    def left(self, shown: Sequence[Wanted], held: dict[tuple[int, int], Array]) -> None:
        """Give up what nobody wants any more, now that these have been shown."""
        self._wanted = self._wanted[len(shown) :]
        kept = {(s.row, s.column) for wanted in self._wanted for s in wanted.sources}
        for key in held.keys() - kept:
            del held[key]

    def show(
        self,
        wanted: Wanted,
        held: dict[tuple[int, int], Array],
        embedded: Array,
        rows: NDArray[np.int64],
    ) -> None:
        """Show a value to the capture; ``rows`` are the numbers of the wanted tokens."""
        values = []
        for source in wanted.sources:
            value = embedded if source.number == _EMBEDDED else held[source.row, source.column]
            if wanted.attend is None and value.shape[1] != source.columns:
                value = np.ascontiguousarray(value[:, : source.columns])
            if source.narrowed and len(value) != len(rows):
                value = value[rows]
            values.append(value)
        value = values[0] if len(values) == 1 else np.concatenate(values, axis=1)
        if wanted.opener is not None:
            value = wanted.opener(value)
        self._capture.observe(wanted.stage, wanted.layer, value)


def _keys(op: Attend, step: Step) -> tuple[int, int]:
    """Return the first key that any of the step's tokens sees, and how many there are from it."""
    start = step.spans[0].start
    gone = 0 if op.window is None else max(0, start + 1 - op.window)
    return gone, start + len(step.ids) - gone


def _wanted(program: Program, table: Table, step: Step) -> Iterator[Wanted]:
    """Yield what the capture wants, in the order of the program."""
    capture = step.capture
    assert capture is not None
    ops = [op for op in program.ops if not isinstance(op, Observe)]
    wide = widths(ops)
    number = 0
    for op in program.ops:
        match op:
            case Observe(stage=stage, layer=layer, buffers=buffers):
                if capture.wants(stage, layer):
                    found = (_source(name, number, ops, wide, table, step) for name in buffers)
                    yield Wanted(stage, layer, tuple(found))
                continue
            case Attend(layer=layer):
                row, _ = table.places[number]
                for stage, column in zip(op.OFFERS, (t.TAP_SCORES, t.TAP_WEIGHTS), strict=True):
                    if capture.wants(stage, layer):
                        source = Source(number, row, column, 0)
                        yield Wanted(stage, layer, (source,), attend=op)
            case Gate(gate=gate, layer=layer):
                (stage,) = op.OFFERS
                if capture.wants(stage, layer):
                    source = _source(gate, number, ops, wide, table, step)
                    yield Wanted(stage, layer, (source,), opener=_OPENERS[op.ACTIVATION])
            case _:
                pass
        number += 1


def _source(
    name: str,
    before: int,
    ops: Sequence[Operation],
    wide: Sequence[dict[str, int]],
    table: Table,
    step: Step,
) -> Source:
    """Return what wrote a buffer last before an operation."""
    narrowed = False
    for number in reversed(range(before)):
        op = ops[number]
        if isinstance(op, LastRow) and op.x == name:
            narrowed = not step.every_row
        if name in op.writes:
            row, column = table.places.get(number, (-1, 0))
            return Source(number, row, column, wide[before][name], narrowed)
    raise InputError(f"the program observes its buffer {name!r} before anything writes it")
