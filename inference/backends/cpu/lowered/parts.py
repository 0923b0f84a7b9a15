"""What the operations of a group do for one part of one token: a compiled function for each.

A row of the table names its function by the address, so that one is compiled only where a program
has such a row. All have the same signature:

    thread: who does it; row, frame: the addresses of those; real: that of the row
    line: the token's row of the buffers; dense: its place among the wanted ones; part: which one
    x, y: where the values of the row's X and Y begin

The arithmetic is that of the kernels' own compiled functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.places import cache_of, scratch_of, seen_from
from inference.kernels.cpu.apart import calling, code_of
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import floats, integers, octets, row_of_floats, words
from inference.kernels.geglu.cpu import geglu_values
from inference.kernels.gqa.blocked import attend_head, remember_head
from inference.kernels.qmatmul.cpu import fill_corrections, quantize_blocks, sum_groups
from inference.kernels.rmsnorm.cpu import rmsnorm_rows
from inference.kernels.rope.cpu import rotate
from inference.kernels.swiglu.cpu import swiglu_values
from inference.model.ops import GeGlu, SwiGlu

_I64 = types.int64
_PART = _I64(_I64, _I64, types.float64, *[_I64] * 6)
_OPEN = _I64(*[_I64] * 4)

call_part, call_open = calling(_PART), calling(_OPEN)
"""How compiled code calls what a row names: a part, and what opens a gate."""

_parts: dict[int, Any] = {}
_openers: dict[type, Any] = {}


def part_code(op: int) -> int:
    """Return the address of the function that does a part of this number."""
    return code_of(_parts[op], _PART)


def open_code(kind: type) -> int:
    """Return the address of the function that opens this kind of gate."""
    return code_of(_openers[kind], _OPEN)


def _does(known: dict[Any, Any], key: Any) -> Callable[[Callable[..., Any]], Any]:
    def compiled(function: Callable[..., Any]) -> Any:
        known[key] = njit(cache=True, nogil=True)(function)
        return known[key]

    return compiled


@_does(_parts, t.NORM)
def _norm(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row = integers(row, t.COLUMNS)
    head = row[t.HEAD]
    heads = row[t.X_SIZE] // head
    weight = row_of_floats(row[t.PARAMETER], head)
    rmsnorm_rows(floats(x, heads, head), weight, real, floats(y, heads, head))
    return 0


@_does(_parts, t.BIAS)
def _bias(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row = integers(row, t.COLUMNS)
    size = row[t.X_SIZE]
    add(x, row[t.PARAMETER] + 4 * size * part, size)
    return 0


@_does(_parts, t.SCALE)
def _scale(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    values, factor = row_of_floats(x, integers(row, t.COLUMNS)[t.X_SIZE]), np.float32(real)
    for i in range(values.size):
        values[i] *= factor
    return 0


@_does(_parts, t.ROPE)
def _rope(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row, frame = integers(row, t.COLUMNS), integers(frame, t.FRAME)
    place = integers(frame[t.TEXTS] + 8 * t.PLACE * line, t.PLACE)
    half = row[t.HEAD] // 2
    cos = frame[t.TABLES + 2 * row[t.ANGLES]] + 4 * half * place[t.POSITION]
    sin = frame[t.TABLES + 2 * row[t.ANGLES] + 1] + 4 * half * place[t.POSITION]
    count = row[t.X_SIZE] // row[t.HEAD]
    heads = floats(x, count, row[t.HEAD]).reshape((1, count, row[t.HEAD]))
    rotate(heads, floats(cos, 1, half), floats(sin, 1, half), row[t.NEOX] != 0, heads)
    return 0


@_does(_parts, t.REMEMBER)
def _remember(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row, frame = integers(row, t.COLUMNS), integers(frame, t.FRAME)
    keys, values, position = cache_of(row, frame, line, part)
    remember_head(x, y, row[t.HEAD], keys, values, position)
    return 0


@_does(_parts, t.ATTEND)
def _attend(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row, frame = integers(row, t.COLUMNS), integers(frame, t.FRAME)
    keys, values, position = cache_of(row, frame, line, part)
    gone, seen = seen_from(row, position)
    size = row[t.HEAD]
    heads = row[t.X_SIZE] // size
    scores, weights, mixed, width = scratch_of(frame, thread, heads)
    attend_head(x, heads, size, keys, values, gone, seen, scores, weights, width, mixed, y)
    return 0


@_does(_parts, t.ADD)
def _sum(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    add(x, y, integers(row, t.COLUMNS)[t.X_SIZE])
    return 0


@_does(_parts, t.GATE)
def _gate(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    row = integers(row, t.COLUMNS)
    out = row[t.PARAMETER] + 4 * row[t.HEAD] * line
    return call_open(row[t.OPENER], (x, y, out, row[t.X_SIZE]))


@_does(_parts, t.QUANTIZE)
def _round(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Round one token's activations; blocks beyond them stay the zeros that they were."""
    row = integers(row, t.COLUMNS)
    q, scales = rounded(row, thread, line, dense)
    quantize_blocks(x, q, scales, row[t.X_SIZE] // 32)
    return 0


@_does(_parts, t.CORRECT)
def _correct(thread, row, real, frame, line, dense, part, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare what the constant part of some type's weights adds to one token's products."""
    row, frame = integers(row, t.COLUMNS), integers(frame, t.FRAME)
    blocks = row[t.ROUND_BLOCKS]
    q, scales = rounded(row, thread, line, dense)
    per_block = 2 if row[t.FORM] == 2 else 1
    fixes = row[t.FIXES] + per_block * (scales - row[t.ROUND_SCALES])
    sums = words(frame[t.SCRATCH] + frame[t.SCRATCH_BYTES] * thread, 1, 2 * blocks)
    sum_groups(octets(q, 1, 32 * blocks), sums)
    fill_corrections(
        sums, floats(scales, 1, blocks), row[t.FORM], np.int32(row[t.FACTOR]),
        words(fixes, 1, per_block * blocks),
    )  # fmt: skip
    return 0


@_does(_openers, SwiGlu)
def _swiglu(gate, up, out, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    gate, up, out = row_of_floats(gate, size), row_of_floats(up, size), row_of_floats(out, size)
    swiglu_values(gate, up, out)
    return 0


@_does(_openers, GeGlu)
def _geglu(gate, up, out, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    gate, up, out = row_of_floats(gate, size), row_of_floats(up, size), row_of_floats(out, size)
    geglu_values(gate, up, out)
    return 0


@njit(inline="always")
def line_of(at, thread, line, dense):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the row of a buffer that a thread uses for a token, by the AT column."""
    return t.APART_ROWS * (thread + 1) if at == t.OWN else dense if at == t.DENSE else line


@njit(inline="always")
def rounded(row, thread, line, dense):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where a token's activations are in int8, and where their scales are."""
    at = row[t.ROUND_BLOCKS] * line_of(row[t.ROUND_AT], thread, line, dense)
    return row[t.ROUND_Q] + 32 * at, row[t.ROUND_SCALES] + 4 * at


@njit(inline="always")
def add(x, y, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to floats at an address those at another."""
    x, y = row_of_floats(x, size), row_of_floats(y, size)
    for i in range(size):
        x[i] += y[i]
