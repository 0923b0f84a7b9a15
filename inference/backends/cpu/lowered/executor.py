"""A whole forward pass in one call of compiled code, which any number of threads make together.

`execute` interprets the table of ``table``; shapes, addresses and kinds are data, so that one
compilation serves every model. What its rows do is done by functions that they name by address:
the kernels of the products, and those of ``parts``.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from numba import types

from inference import threads
from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.parts import add, call_open, call_part, line_of
from inference.backends.cpu.lowered.taps import call_tap_columns, call_tap_part
from inference.backends.cpu.lowered.team import APART, fetch_add, meet
from inference.kernels.cpu import checked
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import integers
from inference.kernels.cpu.telling import tell
from inference.kernels.qmatmul.cpu import KERNELS, call_kernel

TALLIES = 1 + max(map(int, KERNELS))
"""Counters per shape of a matrix, one for each kernel by the number of its type."""


@njit(nogil=True)
def _count(address):  # type: ignore[no-untyped-def]  # pragma: no cover
    counter = integers(address, 1)
    counter[0] += 1


@njit(nogil=True)
def _multiply(  # type: ignore[no-untyped-def]
    row, tally, line, out, width, scratch, tokens, first, last
):  # pragma: no cover
    """Run the kernel of a matrix; whoever runs the first group says which kernel it was."""
    line *= row[t.BLOCKS]
    ran = call_kernel(
        row[t.CODE],
        (
            row[t.PACKED], row[t.BLOCKS], row[t.Q] + 32 * line, row[t.SCALES] + 4 * line,
            row[t.FIX] + row[t.FIX_BYTES] * line, out, width, scratch, tokens, first, last,
        ),
    )  # fmt: skip
    if first == 0:
        _count(tally + 8 * (TALLIES * row[t.SHAPE] + ran))


@njit(nogil=True)
def _linear(thread, row, frame, counter, tokens, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """out = x Wᵀ; then, if there is a target, target = target + out."""
    groups, chunk = row[t.GROUPS], row[t.CHUNK]
    line = t.APART_ROWS * (thread + 1) if row[t.OWN_ROWS] else 0
    scratch = frame[t.SCRATCH] + frame[t.SCRATCH_BYTES] * thread
    out, width = row[t.OUT], row[t.WIDTH]
    if out == 0:
        out = frame[t.OUTPUT]
    while True:
        first = fetch_add(counter, chunk)
        if first >= groups:
            break
        last = min(groups, first + chunk)
        _multiply(row, frame[t.TALLY], line, out, width, scratch, tokens, first, last)
        if row[t.TARGET] != 0:
            for token in range(tokens):
                target = row[t.TARGET] + 4 * (row[t.TARGET_WIDTH] * token + 16 * first)
                add(target, out + 4 * (width * token + 16 * first), 16 * (last - first))
        if tap != 0:
            code = frame[t.TAP_COLUMNS_CODE]
            call_tap_columns(code, (tap, t.TAP, out, width, tokens, first, last))
            call_tap_columns(
                code,
                (tap, t.TAP_TARGET, row[t.TARGET], row[t.TARGET_WIDTH], tokens, first, last),
            )


@njit(nogil=True)
def _gated(thread, row, gate, up, frame, counter, tokens, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """out = activation(x Wᵀ_gate) * (x Wᵀ_up), a few groups of rows at a time."""
    groups, chunk = row[t.GROUPS], row[t.CHUNK]
    line = t.APART_ROWS * (thread + 1) if row[t.OWN_ROWS] else 0
    width = 16 * chunk
    opened = frame[t.SCRATCH] + frame[t.SCRATCH_BYTES] * thread
    wide = opened + 4 * width * tokens
    scratch = wide + 4 * width * tokens
    while True:
        first = fetch_add(counter, chunk)
        if first >= groups:
            break
        last = min(groups, first + chunk)
        for matrix, values in ((gate, opened), (up, wide)):
            _multiply(
                matrix, frame[t.TALLY], line, values - 64 * first, width, scratch, tokens, first,
                last,
            )  # fmt: skip
        size = 16 * (last - first)
        for token in range(tokens):
            out = row[t.OUT] + 4 * (row[t.WIDTH] * token + 16 * first)
            at = 4 * width * token
            call_open(row[t.CODE], (opened + at, wide + at, out, size))
        if tap != 0:
            code, step = frame[t.TAP_COLUMNS_CODE], 8 * t.TAP_COLUMNS
            call_tap_columns(code, (tap, t.TAP, row[t.OUT], row[t.WIDTH], tokens, first, last))
            for at, values in ((tap + step, opened), (tap + 2 * step, wide)):
                call_tap_columns(code, (at, t.TAP, values - 64 * first, width, tokens, first, last))


@njit(nogil=True)
def _part(thread, row, real, frame, line, dense, part, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do one operation for one part of one token."""
    x = row[t.X] if row[t.X] != 0 else frame[t.OUTPUT]
    x += 4 * (row[t.X_WIDTH] * line_of(row[t.X_AT], thread, line, dense) + row[t.X_SIZE] * part)
    y = row[t.Y]
    y += 4 * (row[t.Y_WIDTH] * line_of(row[t.Y_AT], thread, line, dense) + row[t.Y_SIZE] * part)
    at, to = row.ctypes.data, frame.ctypes.data
    call_part(row[t.CODE], (thread, at, real, to, line, dense, part, x, y))
    if tap != 0:
        call_tap_part(frame[t.TAP_PART_CODE], (thread, at, to, line, dense, part, x, y, tap))


@njit(nogil=True)
def _group(thread, table, reals, begin, frame, counter, tokens):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do the parts of all tokens, a few at a time; those of OWN_ROWS are every thread's own."""
    head = table[begin]
    last = begin + 1 + head[t.COUNT]
    taps, step = frame[t.TAPS], 0 if frame[t.TAPS] == 0 else 8 * t.TAP_COLUMNS
    own, parts, chunk = head[t.OWN_ROWS] != 0, head[t.PARTS], head[t.CHUNK]
    units = 1 if own else tokens * parts
    wanted = integers(frame[t.WANTED_ROWS], frame[t.WANTED])
    first = 0 if own else fetch_add(counter, chunk)
    while first < units:
        for unit in range(first, min(units, first + chunk)):
            dense = unit // parts
            line = wanted[dense] if head[t.LAST] else dense
            for i in range(begin + 1, last):
                _part(
                    thread, table[i], reals[i, t.REAL], frame, line, dense, unit - dense * parts,
                    taps + step * i,
                )  # fmt: skip
        first = units if own else fetch_add(counter, chunk)


if sys.platform == "win32":

    @njit(nogil=True)
    def _read_clock(clock, address):  # type: ignore[no-untyped-def]  # pragma: no cover
        """There is none that compiled code can name."""

else:
    _read_clock = types.ExternalFunction("clock_gettime", types.int32(types.int64, types.int64))

if checked.ON:
    _finished = types.ExternalFunction(checked.FINISHED, types.void(types.int64))

else:

    @njit(inline="always")
    def _finished(row):  # type: ignore[no-untyped-def]  # pragma: no cover
        """Nobody wants to know."""


@njit(cache=True, nogil=True)
def execute(thread, threads, sync, table, reals, frame, counters):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do this thread's share of the frame's entries; ``counters`` are zero, 128 bytes per row.

    Returns 1, and 0 when the work was called off.
    """
    row, end = frame[t.BEGIN], frame[t.END]
    taps, step = frame[t.TAPS], 0 if frame[t.TAPS] == 0 else 8 * t.TAP_COLUMNS
    while row < end:
        entry = table[row]
        if entry[t.WAIT] and not meet(sync, threads):
            return 0
        if thread == 0 and frame[t.TIMES] != 0:
            _read_clock(frame[t.CLOCK], frame[t.TIMES] + 16 * row)
        counter, tap = counters + APART * row, taps + step * row
        tokens = frame[t.WANTED] if entry[t.LAST] else frame[t.TOKENS]
        begun = row
        if entry[t.OP] == t.LINEAR:
            _linear(thread, entry, frame, counter, tokens, tap)
            if thread == 0:
                _count(frame[t.CALLS] + 8 * entry[t.MATRIX])
            row += 1
        elif entry[t.OP] == t.GATED:
            gate, up = table[row + 1], table[row + 2]
            _gated(thread, entry, gate, up, frame, counter, tokens, tap)
            if thread == 0:
                _count(frame[t.CALLS] + 8 * gate[t.MATRIX])
                _count(frame[t.CALLS] + 8 * up[t.MATRIX])
            row += 3
        elif entry[t.OP] == t.GROUP:
            _group(thread, table, reals, row, frame, counter, tokens)
            row += 1 + entry[t.COUNT]
        else:
            return 0
        _finished(begun)
    if not meet(sync, threads):
        return 0
    if thread == 0 and frame[t.TIMES] != 0:
        _read_clock(frame[t.CLOCK], frame[t.TIMES] + 16 * end)
    return 1


_COMPILING_S = 1.5  # of processor time; reading the cache takes less


@contextmanager
def telling() -> Iterator[None]:
    """Tell the user if what is compiled meanwhile, or read from Numba's cache, takes a while."""
    done = threading.Event()
    try:
        threads.start(_say_if_it_compiles, done)
        yield
    finally:
        done.set()


def prepare() -> None:
    """Have `execute` compiled."""
    execute.compile(_SIGNATURE)


def _say_if_it_compiles(done: threading.Event) -> None:
    begin = time.process_time()
    while not done.wait(0.2):
        if time.process_time() - begin > _COMPILING_S:
            tell("compiling for this processor, which takes up to a minute the first time ...")
            return


_SIGNATURE = (
    *[types.int64] * 3, types.int64[:, ::1], types.float64[:, ::1], types.int64[::1], types.int64,
)  # fmt: skip
