"""Runs a decoder's program in one call of compiled code per batch of tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference import threads
from inference.backends.cpu.cache import BlockedKVCache
from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.buffers import Buffers
from inference.backends.cpu.lowered.checking import check_run
from inference.backends.cpu.lowered.entries import CannotLowerError
from inference.backends.cpu.lowered.executor import TALLIES, execute, prepare, telling
from inference.backends.cpu.lowered.lowering import Lowering, Table, shapes_of
from inference.backends.cpu.lowered.taps import tap_codes
from inference.backends.cpu.lowered.team import APART, STOP, SYNC_BYTES
from inference.backends.cpu.lowered.watching import Watch
from inference.backends.protocol import Array, Span, Step, Timing
from inference.backends.weights import Weight
from inference.errors import EngineError
from inference.kernels.cpu import checked
from inference.kernels.cpu.checked import empty, poison
from inference.kernels.cpu.memory import address_of, aligned
from inference.kernels.gqa.blocked import padded
from inference.kernels.gqa.tiles import LANES
from inference.kernels.qmatmul import FUSED_KERNELS, LAUNCHES, Launch, PackedWeight, kernel_name
from inference.kernels.rope.cpu import rope_table
from inference.model.ops import Embed, Observe, Operation, Program, Rope
from inference.quant.types import GGMLType

Frequencies = NDArray[np.float64]

ROWS = 256
"""Tokens for which there is memory at first; more is claimed when it is needed."""


class _Angles:
    """Cosines and sines of all positions up to a bound, by kind of rotation."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, Frequencies] = {}
        self.tables: list[tuple[Array, Array]] = []
        self.positions = 0

    def number(self, key: Hashable, frequencies: Callable[[], Frequencies]) -> int:
        """Return the number of a kind of rotation."""
        if key not in self._kinds:
            if len(self._kinds) == t.MAX_TABLES:
                raise CannotLowerError(f"more than {t.MAX_TABLES} kinds of rotary tables")
            self.positions = 0  # first: an interrupt may come at any time
            self._kinds[key] = frequencies()
        return list(self._kinds).index(key)

    def reach(self, positions: int) -> None:
        """Have tables for so many positions, with some to spare."""
        if positions > self.positions:
            places = np.arange(max(ROWS, 2 * positions))
            self.tables = [rope_table(places, frequencies) for frequencies in self._kinds.values()]
            self.positions = len(places)  # last: an interrupt may come at any time


@dataclass(frozen=True, slots=True)
class _Room:
    """Memory for so many tokens, and the tables whose addresses lie in it: replaced as one.

    Were an interrupt to come between the two, a run would write where memory has been freed.
    """

    buffers: Buffers
    tables: Mapping[bool, Table]
    counters: NDArray[np.uint8]


class CompiledProgram:
    """A program over packed weights, lowered for one token and for many.

    One run at a time in a process, whatever the model: each uses all processors. Its result is
    that of the program run operation by operation, to the bit.
    """

    def __init__(
        self,
        program: Program,
        weights: Mapping[str, Weight],
        vectors: Mapping[str, Array],
        packed: Mapping[str, PackedWeight],
        frequencies: Callable[[Rope], Frequencies],
    ) -> None:
        self.program = program
        self._weights, self._vectors, self._packed = weights, vectors, packed
        self._frequencies = frequencies
        self._names = tuple(packed)
        self._calls = np.zeros(len(packed), np.int64)
        self._tally = np.zeros(len(shapes_of(packed)) * TALLIES, np.int64)
        self._shapes = shapes_of(packed)
        self._launches: dict[int, Launch] = {}
        self._angles = _Angles()
        self._scratch = self._attention = aligned(0)
        self._tap_codes: tuple[int, int] | None = None
        self._room = _Room(Buffers(0), {}, aligned(0))
        with telling():
            self._make_room(ROWS)
            prepare()

    @property
    def tables(self) -> tuple[Table, ...]:
        """The lowered program: for one token, and for more."""
        return self._room.tables[False], self._room.tables[True]

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each matrix has been multiplied."""
        return dict(zip(self._names, self._calls.tolist(), strict=True))

    def run(self, step: Step) -> Array:
        """Run the tokens of some texts, whose caches have room; return logits [rows, vocab].

        The rows are those of all tokens, or of the last token of each text. The caches hold the
        new keys and values, but do not count them yet. Whoever watches is shown what the very same
        rows of the table wrote.
        """
        return self._in_turn(step, None)

    def timed(self, step: Step) -> list[Timing]:
        """Run tokens as `run` does, and return how long each entry took.

        From the meeting of the threads before it to the one after.
        """
        table = self.tables[len(step.ids) > 1]  # as long, whatever memory there is
        clock = np.zeros((len(table.rows) + 1, 2), np.int64)
        self._in_turn(step, clock)
        at = clock @ np.array([1.0, 1e-9])
        begins = [*table.labels, len(table.rows)]
        return [
            Timing(self._carried_out(table, begin, end), float(at[end] - at[begin]))
            for begin, end in pairwise(begins)
        ]

    def _carried_out(self, table: Table, begin: int, end: int) -> tuple[Operation, ...]:
        ops = [op for op in self.program.ops if not isinstance(op, Observe)]
        rows = table.places.items()
        return tuple(ops[number] for number, (row, _) in rows if begin <= row < end)

    def _in_turn(self, step: Step, clock: NDArray[np.int64] | None) -> Array:
        """Run when it is this thread's turn; EngineError where it would wait for itself."""
        me = threading.get_ident()
        if threads.holder == me:
            raise EngineError(
                "a run cannot begin inside another, from whoever watches that or from a signal "
                "handler; begin it when the other has ended"
            )
        with threads.turn:
            threads.holder = me  # no call in between, so no signal handler that would wait for us
            try:
                return self._run(step, clock)
            finally:
                threads.holder = None

    def _run(self, step: Step, clock: NDArray[np.int64] | None) -> Array:
        ids = step.ids
        self._make_room(len(ids))
        room = self._room
        table = room.tables[len(ids) > 1]
        places, wanted = _places(step, step.every_row or not table.last_row)
        self._angles.reach(int(places[:, t.POSITION].max()) + 1)
        embed = self.program.ops[0]
        assert isinstance(embed, Embed)
        rows = self._weights[embed.table.name].take(ids)
        if checked.ON:
            room.buffers.poison()
        room.buffers.matrix(embed.out, *rows.shape)[:] = rows
        logits = empty((len(wanted), room.buffers.widths[self.program.output]), "the logits")
        crew = threads.crew(SYNC_BYTES, STOP)
        frame = self._frame(table, crew.count, max(_cache(span).rows for span in step.spans))
        frame[[t.TOKENS, t.WANTED, t.WANTED_ROWS, t.TEXTS, t.OUTPUT]] = (
            len(ids), len(wanted), address_of(wanted), address_of(places), address_of(logits),
        )  # fmt: skip
        frame[t.TIMES] = 0 if clock is None else address_of(clock)
        frame[t.CLOCK] = time.CLOCK_MONOTONIC if crew.count > 1 else time.CLOCK_THREAD_CPUTIME_ID
        if checked.ON:
            poison(self._scratch)
            poison(self._attention)
            count, positions = crew.count, self._angles.positions
            check_run(table, room.buffers.rows, frame, places, count, step, positions)
        room.counters[:] = 0
        if step.capture is None:
            self._execute(table, frame, crew, 0, len(table.rows))
        else:
            self._watched(table, frame, crew, step, rows, wanted)
        self._tell()
        return logits if logits.shape[1] == table.columns else logits[:, : table.columns].copy()

    def _execute(
        self, table: Table, frame: NDArray[np.int64], crew: threads.Crew, begin: int, end: int
    ) -> None:
        """Have the crew do the entries of rows begin..end−1."""
        frame[[t.BEGIN, t.END]] = begin, end
        count, sync, counters = crew.count, crew.sync, address_of(self._room.counters)
        finished = [0] * count

        def work(thread: int) -> None:
            finished[thread] = execute(
                thread, count, sync, table.rows, table.reals, frame, counters
            )

        crew.run(work)
        checked.raise_fault("a compiled run", table.label_of)
        if not finished[0]:
            raise EngineError("a compiled run was called off")

    def _watched(
        self,
        table: Table,
        frame: NDArray[np.int64],
        crew: threads.Crew,
        step: Step,
        embedded: Array,
        wanted: NDArray[np.int64],
    ) -> None:
        """Do all entries, a stretch at a time; show what was wanted of each before the next."""
        watch = Watch(self.program, table, step)
        if self._tap_codes is None:
            with telling():
                self._tap_codes = tap_codes()
        frame[[t.TAP_COLUMNS_CODE, t.TAP_PART_CODE]] = self._tap_codes
        held: dict[tuple[int, int], Array] = {}
        for begin, end, complete in watch.segments():
            taps = watch.taps(begin, end, len(wanted))
            frame[t.TAPS] = address_of(taps.rows)
            if end > begin:
                self._execute(table, frame, crew, begin, end)
            held |= taps.held
            for one in complete:
                watch.show(one, held, embedded, wanted)
            watch.left(complete, held)

    def _make_room(self, rows: int) -> None:
        """Have memory for so many tokens, and the program lowered for it."""
        rows = max(rows, t.APART_ROWS * (threads.available() + 1))
        if rows <= self._room.buffers.rows:
            return
        buffers = Buffers(max(rows, ROWS))
        tables = {
            many: Lowering(
                self.program, buffers, self._vectors, self._packed, self._angle, many=many
            ).table()
            for many in (False, True)
        }
        for table in tables.values():
            checked.note(table.rows, "the table")
        longest = max(len(table.rows) for table in tables.values())
        self._room = _Room(buffers, tables, aligned(APART * (longest + 1)))
        self._scratch = aligned(0)

    def _angle(self, op: Rope) -> int:
        key = op.head_dim, op.theta, op.scaling, op.divisors
        return self._angles.number(key, lambda: self._frequencies(op))

    def _frame(self, table: Table, count: int, positions: int) -> NDArray[np.int64]:
        """Return the frame of a run, with scratch memory for every thread."""
        scratch = _pages(table.scratch_bytes)
        if self._scratch.size < count * scratch:
            self._scratch = aligned(count * scratch, "scratch memory")
        width = padded(positions) + LANES
        attention = _pages(4 * table.queries * (2 * width + padded(table.head_dim)))
        if self._attention.size < count * attention:
            self._attention = aligned(count * attention, "scratch memory of attention")
        frame = np.zeros(t.FRAME, np.int64)
        checked.note(frame, "the frame")
        frame[[t.SCRATCH, t.SCRATCH_BYTES]] = address_of(self._scratch), scratch
        frame[[t.ATTENTION, t.ATTENTION_BYTES, t.ATTENTION_WIDTH]] = (
            address_of(self._attention), attention, width,
        )  # fmt: skip
        frame[[t.CALLS, t.TALLY]] = address_of(self._calls), address_of(self._tally)
        addresses = [address_of(values) for pair in self._angles.tables for values in pair]
        frame[t.TABLES : t.TABLES + len(addresses)] = addresses
        return frame

    def _tell(self) -> None:
        """Count the kernels that ran where their other callers count them."""
        for i in np.flatnonzero(self._tally).tolist():
            if i not in self._launches:
                shape, dtype = self._shapes[i // TALLIES], GGMLType(i % TALLIES)
                self._launches[i] = Launch(kernel_name(FUSED_KERNELS[dtype]), dtype, *shape)
            LAUNCHES[self._launches[i]] += int(self._tally[i])
        self._tally[:] = 0


def _pages(size: int) -> int:
    return -(-size // 4096) * 4096


def _cache(span: Span) -> BlockedKVCache:
    assert isinstance(span.cache, BlockedKVCache), "packed weights run with blocked caches"
    return span.cache


def _places(step: Step, every_row: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each token stands (columns from POSITION to HEAD_VALUES), and who is wanted."""
    places = np.zeros((len(step.ids), t.PLACE), np.int64)
    wanted: list[int] = []
    for span in step.spans:
        cache, begin, end = _cache(span), span.rows.start, span.rows.stop
        keys, values = cache.keys, cache.values
        places[begin:end] = (
            cache.length, address_of(keys), address_of(values), keys.strides[0], values.strides[0],
            keys.strides[1], values.strides[1], 0,
        )  # fmt: skip
        places[begin:end, t.POSITION] += np.arange(end - begin)
        wanted += range(begin, end) if every_row else [end - 1]
    return places, np.array(wanted, np.int64)
