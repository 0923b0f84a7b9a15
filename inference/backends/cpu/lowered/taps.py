"""What copies out the values of a run that somebody watches; compiled when the first one does."""

from __future__ import annotations

from numba import types

from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.places import cache_of, scratch_of, seen_from
from inference.kernels.cpu.apart import calling, code_of
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import integers, row_of_floats
from inference.kernels.gqa.blocked import score_heads

_I64 = types.int64
_COLUMNS = _I64(*[_I64] * 7)
_PART = _I64(*[_I64] * 9)

call_tap_columns, call_tap_part = calling(_COLUMNS), calling(_PART)
"""How compiled code calls what the frame names by TAP_COLUMNS_CODE and TAP_PART_CODE."""


def tap_codes() -> tuple[int, int]:
    """Return the addresses for the frame's TAP_COLUMNS_CODE and TAP_PART_CODE."""
    return code_of(_tap_columns, _COLUMNS), code_of(_tap_part, _PART)


@njit(nogil=True)
def _copy(source, target, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    source, target = row_of_floats(source, size), row_of_floats(target, size)
    for i in range(size):
        target[i] = source[i]


@njit(cache=True, nogil=True)
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
    return 0


@njit(cache=True, nogil=True)
def _tap_part(thread, row, frame, line, dense, part, x, y, tap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy out what an operation has just written for one part of one token."""
    row, frame = integers(row, t.COLUMNS), integers(frame, t.FRAME)
    op, columns = row[t.OP], integers(tap, t.TAP_COLUMNS)
    source, at, size = x, row[t.X_AT], row[t.X_SIZE]
    if op == t.NORM or op == t.ATTEND:
        source, at, size = y, row[t.Y_AT], row[t.Y_SIZE]
    elif op == t.GATE:
        source = row[t.PARAMETER] + 4 * row[t.HEAD] * line
    if columns[t.TAP] != 0 and (at != t.OWN or thread == 0):
        to = 0 if at == t.OWN else dense if at == t.DENSE else line
        _copy(source, columns[t.TAP] + 4 * (columns[t.TAP_WIDTH] * to + size * part), size)
    if op == t.ATTEND:
        _tap_attention(row, columns, frame, thread, part, x, line)
    return 0


@njit(nogil=True, inline="always")
def _tap_attention(row, columns, frame, thread, part, q, line):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy out scores and weights of one group of query heads.

    Then score the keys that this token does not see as well: a trace shows scores before the mask.
    """
    if columns[t.TAP_SCORES] != 0 or columns[t.TAP_WEIGHTS] != 0:
        keys, _, position = cache_of(row, frame, line, part)
        gone, seen = seen_from(row, position)
        size = row[t.HEAD]
        heads = row[t.X_SIZE] // size
        scores, weights, _, width = scratch_of(frame, thread, heads)
        for h in range(heads):
            at = 4 * (width * h + gone % 16)
            to = heads * part + h
            _tap_keys(columns, t.TAP_SCORES, frame, line, to, gone, seen, scores + at)
            _tap_keys(columns, t.TAP_WEIGHTS, frame, line, to, gone, seen, weights + at)
        first = columns[t.TAP_FIRST]
        last = first + columns[t.TAP_KEYS]
        score_heads(q, heads, size, keys, first // 16, (last + 15) // 16, scores, width)
        for h in range(heads):
            to, at = heads * part + h, scores + 4 * (width * h + first % 16)
            _tap_keys(columns, t.TAP_SCORES, frame, line, to, first, gone, at)
            at += 4 * (seen - first)
            _tap_keys(columns, t.TAP_SCORES, frame, line, to, seen, last, at)


@njit(nogil=True)
def _tap_keys(columns, place, frame, line, head, first, last, source):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy what a query head has for keys first..last−1; ``source`` is that of key ``first``."""
    if columns[place] != 0 and last > first:
        row = (head * frame[t.TOKENS] + line) * columns[t.TAP_KEYS]
        _copy(source, columns[place] + 4 * (row + first - columns[t.TAP_FIRST]), last - first)
