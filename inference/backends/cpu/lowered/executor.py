"""A whole forward pass in one call of compiled code, which any number of threads make together.

`execute` interprets the table of ``table``; shapes, addresses and kinds are data, so that one
compilation serves every model. The arithmetic is that of the kernels' own compiled functions.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from inference import kernels, threads
from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.team import APART, fetch_add, meet
from inference.kernels.cpu import checked
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import floats, integers, octets, row_of_floats, words
from inference.kernels.cpu.sources import source_digest
from inference.kernels.cpu.telling import tell
from inference.kernels.geglu.cpu import geglu_values
from inference.kernels.gqa.blocked import attend_head, remember_head, score_heads
from inference.kernels.qmatmul.cpu import (
    KERNELS,
    fill_corrections,
    quantize_blocks,
    run_kernel,
    sum_groups,
)
from inference.kernels.rmsnorm.cpu import rmsnorm_rows
from inference.kernels.rope.cpu import rotate
from inference.kernels.swiglu.cpu import swiglu_values

TALLIES = 1 + max(map(int, KERNELS))
"""Counters per shape of a matrix, one for each kernel by the number of its type."""


@njit(nogil=True)
def _count(address):  # type: ignore[no-untyped-def]  # pragma: no cover
    counter = integers(address, 1)
    counter[0] += 1


@njit(nogil=True)
def _multiply(  # type: ignore[no-untyped-def]
    row, tally, q, scales, fixes, out, width, scratch, tokens, first, last
):  # pragma: no cover
    """Run the kernel of a t.LINEAR row; whoever runs the first group says which kernel it was."""
    ran = run_kernel(
        row[t.KERNEL], row[t.PACKED], row[t.BLOCKS], q, scales, fixes, out, width, scratch,
        tokens, first, last,
    )  # fmt: skip
    if ran >= 0 and first == 0:
        _count(tally + 8 * (TALLIES * row[t.SHAPE] + ran))


@njit(nogil=True)
def _copy(source, target, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    source, target = row_of_floats(source, size), row_of_floats(target, size)
    for i in range(size):
        target[i] = source[i]


@njit(nogil=True)
def _tap_columns(tap, place, source, width, tokens, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy out groups of 16 columns of a matrix, for every token, where somebody wants them."""
    columns = integers(tap, t.TAP_COLUMNS)
    if columns[place] != 0:
        for token in range(tokens):
            _copy(
                source + 4 * (width * token + 16 * first),
                columns[place] + 4 * (columns[place + 1] * token + 16 * first),
                16 * (last - first),
            )


@njit(nogil=True, inline="always")
def _linear(thread, row, frame, counter, tokens, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """out = x Wᵀ; then, if there is a target, target = target + out."""
    blocks, groups, chunk = row[t.BLOCKS], row[t.GROUPS], row[t.CHUNK]
    line = t.APART_ROWS * (thread + 1) if row[t.OWN_ROWS] else 0
    q, scales = row[t.Q] + 32 * blocks * line, row[t.SCALES] + 4 * blocks * line
    fixes = row[t.FIX] + row[t.FIX_BYTES] * blocks * line
    scratch = frame[t.SCRATCH] + frame[t.SCRATCH_BYTES] * thread
    out, width = row[t.OUT], row[t.WIDTH]
    if out == 0:
        out = frame[t.OUTPUT]
    while True:
        first = fetch_add(counter, chunk)
        if first >= groups:
            break
        last = min(groups, first + chunk)
        _multiply(row, frame[t.TALLY], q, scales, fixes, out, width, scratch, tokens, first, last)
        if row[t.TARGET] != 0:
            for token in range(tokens):
                target = row[t.TARGET] + 4 * (row[t.TARGET_WIDTH] * token + 16 * first)
                _add(target, out + 4 * (width * token + 16 * first), 16 * (last - first))
        if tap != 0:
            _tap_columns(tap, t.TAP, out, width, tokens, first, last)
            _tap_columns(tap, t.TAP_TARGET, row[t.TARGET], row[t.TARGET_WIDTH], tokens, first, last)


@njit(nogil=True, inline="always")
def _gated(thread, row, gate, up, frame, counter, tokens, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """out = activation(x Wᵀ_gate) * (x Wᵀ_up), a few groups of rows at a time."""
    blocks, groups, chunk = gate[t.BLOCKS], row[t.GROUPS], row[t.CHUNK]
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
            q, scales = matrix[t.Q] + 32 * blocks * line, matrix[t.SCALES] + 4 * blocks * line
            fixes = matrix[t.FIX] + matrix[t.FIX_BYTES] * blocks * line
            _multiply(
                matrix, frame[t.TALLY], q, scales, fixes, values - 64 * first, width,
                scratch, tokens, first, last,
            )  # fmt: skip
        size = 16 * (last - first)
        for token in range(tokens):
            out = row[t.OUT] + 4 * (row[t.WIDTH] * token + 16 * first)
            _open_gate(
                row[t.ACTIVATION], opened + 4 * width * token, wide + 4 * width * token, out, size
            )
        if tap != 0:
            step = 8 * t.TAP_COLUMNS
            _tap_columns(tap, t.TAP, row[t.OUT], row[t.WIDTH], tokens, first, last)
            _tap_columns(tap + step, t.TAP, opened - 64 * first, width, tokens, first, last)
            _tap_columns(tap + 2 * step, t.TAP, wide - 64 * first, width, tokens, first, last)


@njit(nogil=True)
def _open_gate(activation, gate, up, out, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    gate, up, out = row_of_floats(gate, size), row_of_floats(up, size), row_of_floats(out, size)
    if activation == t.GELU:
        geglu_values(gate, up, out)
    else:
        swiglu_values(gate, up, out)


@njit(nogil=True)
def _add(x, y, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    x, y = row_of_floats(x, size), row_of_floats(y, size)
    for i in range(size):
        x[i] += y[i]


@njit(nogil=True)
def _round(row, line, x, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Round one token's activations; blocks beyond ``size`` stay the zeros that they were."""
    blocks = row[t.ROUND_BLOCKS]
    q, scales = row[t.ROUND_Q] + 32 * blocks * line, row[t.ROUND_SCALES] + 4 * blocks * line
    quantize_blocks(x, q, scales, size // 32)


@njit(nogil=True)
def _correct(row, line, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare what the constant part of some type's weights adds to one token's products."""
    blocks = row[t.ROUND_BLOCKS]
    q, scales = row[t.ROUND_Q] + 32 * blocks * line, row[t.ROUND_SCALES] + 4 * blocks * line
    per_block = 2 if row[t.FORM] == 2 else 1
    fixes = row[t.FIXES] + 4 * per_block * blocks * line
    sums = words(scratch, 1, 2 * blocks)
    sum_groups(octets(q, 1, 32 * blocks), sums)
    fill_corrections(
        sums, floats(scales, 1, blocks), row[t.FORM], np.int32(row[t.FACTOR]),
        words(fixes, 1, per_block * blocks),
    )  # fmt: skip


@njit(nogil=True)
def _attend(row, frame, thread, place, part, q, out, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    seen, head = place[t.POSITION] + 1, row[t.HEAD]
    gone = max(0, seen - row[t.WINDOW]) if row[t.WINDOW] else 0
    heads, width = size // head, frame[t.ATTENTION_WIDTH]
    scores = frame[t.ATTENTION] + frame[t.ATTENTION_BYTES] * thread
    weights = scores + 4 * heads * width
    keys = place[t.KEYS] + place[t.LAYER_KEYS] * row[t.LAYER] + place[t.HEAD_KEYS] * part
    values = place[t.VALUES] + place[t.LAYER_VALUES] * row[t.LAYER] + place[t.HEAD_VALUES] * part
    attend_head(
        q, heads, head, keys, values, gone, seen, scores, weights, width,
        weights + 4 * heads * width, out,
    )  # fmt: skip


@njit(nogil=True)
def _tap_part(thread, row, tap, x, y, line, dense, part):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy out what an operation has just written for one part of one token."""
    op, columns = row[t.OP], integers(tap, t.TAP_COLUMNS)
    source, at, size = x, row[t.X_AT], row[t.X_SIZE]
    if op == t.NORM or op == t.ATTEND:
        source, at, size = y, row[t.Y_AT], row[t.Y_SIZE]
    elif op == t.GATE:
        source = row[t.PARAMETER] + 4 * row[t.HEAD] * line
    if columns[t.TAP] != 0 and (at != t.OWN or thread == 0):
        to = 0 if at == t.OWN else dense if at == t.DENSE else line
        _copy(source, columns[t.TAP] + 4 * (columns[t.TAP_WIDTH] * to + size * part), size)


@njit(nogil=True)
def _tap_keys(columns, place, frame, line, head, first, last, source):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy what a query head has for keys first..last−1; ``source`` is that of key ``first``."""
    if columns[place] != 0 and last > first:
        row = (head * frame[t.TOKENS] + line) * columns[t.TAP_KEYS]
        _copy(source, columns[place] + 4 * (row + first - columns[t.TAP_FIRST]), last - first)


@njit(nogil=True)
def _tap_attention(row, tap, frame, thread, place, part, q, line, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy out scores and weights of one group of query heads.

    Then score the keys that this token does not see as well: a trace shows scores before the mask.
    """
    columns = integers(tap, t.TAP_COLUMNS)
    if columns[t.TAP_SCORES] == 0 and columns[t.TAP_WEIGHTS] == 0:
        return
    seen, head = place[t.POSITION] + 1, row[t.HEAD]
    gone = max(0, seen - row[t.WINDOW]) if row[t.WINDOW] else 0
    heads, width = size // head, frame[t.ATTENTION_WIDTH]
    scores = frame[t.ATTENTION] + frame[t.ATTENTION_BYTES] * thread
    weights = scores + 4 * heads * width
    for h in range(heads):
        at = 4 * (width * h + gone % 16)
        _tap_keys(columns, t.TAP_SCORES, frame, line, heads * part + h, gone, seen, scores + at)
        _tap_keys(columns, t.TAP_WEIGHTS, frame, line, heads * part + h, gone, seen, weights + at)
    first = columns[t.TAP_FIRST]
    last = first + columns[t.TAP_KEYS]
    keys = place[t.KEYS] + place[t.LAYER_KEYS] * row[t.LAYER] + place[t.HEAD_KEYS] * part
    score_heads(q, heads, head, keys, first // 16, (last + 15) // 16, scores, width)
    for h in range(heads):
        to, at = heads * part + h, scores + 4 * (width * h + first % 16)
        _tap_keys(columns, t.TAP_SCORES, frame, line, to, first, gone, at)
        _tap_keys(columns, t.TAP_SCORES, frame, line, to, seen, last, at + 4 * (seen - first))


@njit(nogil=True)
def _part(thread, row, real, frame, line, dense, part, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do one operation for one part of one token."""
    own = t.APART_ROWS * (thread + 1)
    op, size = row[t.OP], row[t.X_SIZE]
    at = own if row[t.X_AT] == t.OWN else dense if row[t.X_AT] == t.DENSE else line
    x = row[t.X] if row[t.X] != 0 else frame[t.OUTPUT]
    x += 4 * (row[t.X_WIDTH] * at + size * part)
    at = own if row[t.Y_AT] == t.OWN else dense if row[t.Y_AT] == t.DENSE else line
    y = row[t.Y] + 4 * (row[t.Y_WIDTH] * at + row[t.Y_SIZE] * part)
    place = integers(frame[t.TEXTS] + 8 * t.PLACE * line, t.PLACE)
    if op == t.NORM:
        heads, head = size // row[t.HEAD], row[t.HEAD]
        weight = row_of_floats(row[t.PARAMETER], head)
        rmsnorm_rows(floats(x, heads, head), weight, real[t.REAL], floats(y, heads, head))
    elif op == t.BIAS:
        _add(x, row[t.PARAMETER] + 4 * size * part, size)
    elif op == t.SCALE:
        values, factor = row_of_floats(x, size), np.float32(real[t.REAL])
        for i in range(size):
            values[i] *= factor
    elif op == t.ROPE:
        half = row[t.HEAD] // 2
        cos = frame[t.TABLES + 2 * row[t.ANGLES]] + 4 * half * place[t.POSITION]
        sin = frame[t.TABLES + 2 * row[t.ANGLES] + 1] + 4 * half * place[t.POSITION]
        heads = floats(x, size // row[t.HEAD], row[t.HEAD]).reshape(
            (1, size // row[t.HEAD], row[t.HEAD])
        )
        rotate(heads, floats(cos, 1, half), floats(sin, 1, half), row[t.NEOX] != 0, heads)
    elif op == t.REMEMBER:
        keys = place[t.KEYS] + place[t.LAYER_KEYS] * row[t.LAYER] + place[t.HEAD_KEYS] * part
        values = (
            place[t.VALUES] + place[t.LAYER_VALUES] * row[t.LAYER] + place[t.HEAD_VALUES] * part
        )
        remember_head(x, y, row[t.HEAD], keys, values, place[t.POSITION])
    elif op == t.ATTEND:
        _attend(row, frame, thread, place, part, x, y, size)
    elif op == t.ADD:
        _add(x, y, size)
    elif op == t.GATE:
        _open_gate(row[t.NEOX], x, y, row[t.PARAMETER] + 4 * row[t.HEAD] * line, size)
    elif op == t.QUANTIZE or op == t.CORRECT:
        at = own if row[t.ROUND_AT] == t.OWN else dense if row[t.ROUND_AT] == t.DENSE else line
        if op == t.QUANTIZE:
            _round(row, at, x, size)
        else:
            _correct(row, at, frame[t.SCRATCH] + frame[t.SCRATCH_BYTES] * thread)
    if tap != 0:
        _tap_part(thread, row, tap, x, y, line, dense, part)
        if op == t.ATTEND:
            _tap_attention(row, tap, frame, thread, place, part, x, line, size)


@njit(nogil=True, inline="always")
def _group(thread, table, reals, begin, frame, counter, tokens):  # type: ignore[no-untyped-def]  # pragma: no cover
    head = table[begin]
    last = begin + 1 + head[t.COUNT]
    taps, step = frame[t.TAPS], 0 if frame[t.TAPS] == 0 else 8 * t.TAP_COLUMNS
    if head[t.OWN_ROWS]:
        for i in range(begin + 1, last):
            _part(thread, table[i], reals[i], frame, 0, 0, 0, taps + step * i)
        return
    parts, chunk = head[t.PARTS], head[t.CHUNK]
    units = tokens * parts
    wanted = integers(frame[t.WANTED_ROWS], frame[t.WANTED])
    while True:
        first = fetch_add(counter, chunk)
        if first >= units:
            break
        for unit in range(first, min(units, first + chunk)):
            dense = unit // parts
            line = wanted[dense] if head[t.LAST] else dense
            for i in range(begin + 1, last):
                part = unit - dense * parts
                _part(thread, table[i], reals[i], frame, line, dense, part, taps + step * i)


def _version() -> int:
    """Digest the sources of everything compiled here, which Numba's cache does not look at."""
    here = Path(__file__)
    sources = sorted(Path(kernels.__file__).parent.rglob("*.py"))
    return source_digest(*sources, here, here.with_name("table.py"), here.with_name("team.py"))


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


def _executor(version: int) -> Any:
    """Define the function. ``version`` is in its closure, and so in the key of Numba's cache."""

    @njit(cache=True, nogil=True)
    def execute(thread, threads, sync, table, reals, frame, counters):  # type: ignore[no-untyped-def]  # pragma: no cover
        """Do this thread's share of the frame's entries; ``counters`` are zero, 128 bytes per row.

        Returns the version, 0 when the work was called off.
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
        return version

    return execute


execute = _executor(_version())

_COMPILING_S = 1.5  # of processor time; reading the cache takes less


def prepare() -> None:
    """Have `execute` compiled, or read from Numba's cache; tell the user if it takes a while."""
    if execute.signatures:
        return
    done = threading.Event()
    try:
        threads.start(_say_if_it_compiles, done)
        execute.compile(_SIGNATURE)
    finally:
        done.set()


def _say_if_it_compiles(done: threading.Event) -> None:
    begin = time.process_time()
    while not done.wait(0.2):
        if time.process_time() - begin > _COMPILING_S:
            tell("compiling for this processor, which takes up to a minute the first time ...")
            return


_SIGNATURE = (
    *[types.int64] * 3, types.int64[:, ::1], types.float64[:, ::1], types.int64[::1], types.int64,
)  # fmt: skip
