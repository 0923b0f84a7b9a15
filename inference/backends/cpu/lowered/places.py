"""Where attention finds a token's keys, values and scores, for ``parts`` and ``taps``."""

from __future__ import annotations

from inference.backends.cpu.lowered import table as t
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import integers


@njit(nogil=True, inline="always")
def cache_of(row, frame, line, part):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the addresses of a head's keys and values, and the position of a line's token."""
    place = integers(frame[t.TEXTS] + 8 * t.PLACE * line, t.PLACE)
    keys = place[t.KEYS] + place[t.LAYER_KEYS] * row[t.LAYER] + place[t.HEAD_KEYS] * part
    values = place[t.VALUES] + place[t.LAYER_VALUES] * row[t.LAYER] + place[t.HEAD_VALUES] * part
    return keys, values, place[t.POSITION]


@njit(nogil=True, inline="always")
def seen_from(row, position):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the first position that a token sees, and the first one after those."""
    return max(0, position + 1 - row[t.WINDOW]) if row[t.WINDOW] else 0, position + 1


@njit(nogil=True, inline="always")
def scratch_of(frame, thread, heads):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the addresses of a thread's scores, weights and padded result, and floats a head."""
    width = frame[t.ATTENTION_WIDTH]
    scores = frame[t.ATTENTION] + frame[t.ATTENTION_BYTES] * thread
    return scores, scores + 4 * heads * width, scores + 8 * heads * width, width
