"""A program's table under construction: entries, groups of operations, and where threads meet.

Operations that work on the same parts of a row, the heads of one key/value head or whole rows, make
one entry. Threads meet only where one may read or overwrite what another has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.buffers import Buffers
from inference.backends.cpu.lowered.lifetimes import is_dead
from inference.backends.cpu.lowered.parts import part_code
from inference.model.ops import Operation

TOKENS = 8
"""Tokens that a thread takes at a time."""


class CannotLowerError(Exception):
    """The program holds something that a table cannot express; it runs op by op instead."""


@dataclass(slots=True)
class Rounded:
    """A buffer in int8, in blocks of 32; ``own``: every thread has its copy."""

    q: int
    scales: int
    blocks: int
    fixes: dict[tuple[int, int], int]
    own: bool = False


@dataclass(slots=True)
class Part:
    """A row of a group: the buffers that it reads and writes, and the columns that are known.

    ``number`` is that of the operation that it carries out, where it is one of the program's.
    """

    op: int
    x: str
    out: str | None
    columns: dict[int, int]
    reals: dict[int, float] = field(default_factory=dict)
    number: int | None = None


@dataclass(slots=True)
class Group:
    """Parts that are done unit by unit; ``plain``: only norms and rounding."""

    parts: int
    name: str
    rows: list[Part] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    rounded: dict[str, list[Rounded]] = field(default_factory=dict)
    chunk: int = 1
    plain: bool = True


class Entries:
    """The rows of a table, and what is known of the operations that are being lowered.

    ``ops`` are those of the program, ``output`` is its last buffer; ``many``: for more than one
    token. ``_at`` is the operation in hand.
    """

    def __init__(self, ops: Sequence[Any], output: str, buffers: Buffers, *, many: bool) -> None:
        self._ops, self._output, self._many = ops, output, many
        self._buffers = buffers
        self._at = 0
        self._last = False  # only wanted tokens go on
        self._dense: set[str] = set()
        self._names: dict[str, str] = {}  # of buffers that are elsewhere at the moment
        self._group: Group | None = None
        self._rounded: dict[str, list[Rounded]] = {}
        self._rows: list[dict[int, int]] = []
        self._reals: list[dict[int, float]] = []
        self._labels: dict[int, str] = {}
        self._places: dict[int, tuple[int, int]] = {}
        """Of each operation: its row, and the column of the taps that takes what it writes."""
        self._read: set[str] = set()  # since the threads last met
        self._written: set[str] = set()

    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the rows: their whole numbers and their real ones."""
        shape = len(self._rows), t.COLUMNS
        rows, reals = np.zeros(shape, np.int64), np.zeros(shape)
        for i, (row, real) in enumerate(zip(self._rows, self._reals, strict=True)):
            rows[i, list(row)] = list(row.values())
            reals[i, list(real)] = list(real.values())
        return rows, reals

    def _place(self, name: str) -> tuple[int, int]:
        return self._buffers.place(self._names.get(name, name))

    def _now(self, names: set[str]) -> set[str]:
        """Return what buffers are called at the moment."""
        return {self._names.get(name, name) for name in names}

    def _emit(self, label: str, row: dict[int, int], reads: set[str], writes: set[str]) -> int:
        """Append the first row of an entry and return its number.

        Threads meet before it if it could come too early.
        """
        wait = bool(reads & self._written or writes & (self._read | self._written))
        if wait:
            self._read, self._written = set(), set()
        self._read |= reads
        self._written |= writes
        self._labels[len(self._rows)] = label
        self._rows.append({t.WAIT: int(wait), t.LAST: int(self._last), **row})
        self._reals.append({})
        return len(self._rows) - 1

    def _part(
        self, op: Operation, part: Part, parts: int, *, plain: bool = False, chunk: int = TOKENS
    ) -> int:
        """Add a row to the open group, or open another if that has other parts."""
        if self._group is not None and self._group.parts != parts:
            self._flush()
        name = type(op).__name__
        if self._group is None:
            self._group = Group(parts, name)
        elif not self._group.name.endswith(name):
            self._group.name += f"+{name}"
        group = self._group
        part.number = self._at
        group.reads |= op.reads
        group.writes |= op.writes
        group.plain &= plain
        group.chunk = max(group.chunk, chunk if self._many else 1)
        group.rows.append(part)
        for name in op.writes:
            self._rounded.pop(name, None)
        return 1

    def _flush(self) -> None:
        """Write the open group into the table."""
        group, self._group = self._group, None
        if group is None:
            return
        own = (
            not self._many
            and group.plain
            and self._output not in group.writes
            and is_dead(group.writes, self._ops, self._at, group.rounded)
        )
        rows, shared, private = [], set[str](), set[str]()
        for part in group.rows:
            if part.x not in private:
                shared.add(part.x)
            rows.append(self._placed(part, own, private))
            if part.out is not None:
                private.add(part.out)
        for copies in group.rounded.values():
            for rounded in copies:
                rounded.own = own
        head = {
            t.OP: t.GROUP, t.PARTS: group.parts, t.COUNT: len(rows), t.CHUNK: group.chunk,
            t.OWN_ROWS: int(own),
        }  # fmt: skip
        if own:
            at = self._emit(group.name, head, self._now(shared), set())
        else:
            rounds = {int8(name) for name in group.rounded}
            reads, writes = self._now(group.reads), self._now(group.writes)
            at = self._emit(group.name, head, reads, writes | rounds)
        for row, part in enumerate(group.rows, at + 1):
            if part.number is not None:
                self._places[part.number] = row, t.TAP
        self._rows += rows
        self._reals += [part.reals for part in group.rows]

    def _placed(self, part: Part, own: bool, private: set[str]) -> dict[int, int]:
        """Fill in where a part finds its buffers, and in which of their rows."""
        row = {t.OP: part.op, t.CODE: part_code(part.op), **part.columns}

        def row_of(name: str) -> int:
            if own:
                return t.OWN if name in private else t.ROW
            return t.DENSE if name in self._dense else t.ROW

        if part.x != self._output:
            row[t.X], row[t.X_WIDTH] = self._place(part.x)
        else:
            row[t.X_WIDTH] = self._buffers.widths[part.x]
        row[t.X_AT] = row_of(part.x)
        if part.op in (t.QUANTIZE, t.CORRECT):
            row[t.ROUND_AT] = t.OWN if own else t.DENSE if self._last else t.ROW
        elif part.out is not None:
            if part.out == self._output:
                raise CannotLowerError("an operation other than a product makes the output")
            row[t.Y], row[t.Y_WIDTH] = self._place(part.out)
            row[t.Y_AT] = t.OWN if own else row_of(part.out)
        return row


def int8(name: str) -> str:
    """Name the rounded values of a buffer."""
    return f"{name} in int8"
