"""Grouped-query attention over a cache made for it: compiled, without BLAS, one token at a time.

Per key/value head, keys lie in blocks of 16 positions, [blocks, head_dim, 16], and values in rows,
[positions, head_dim filled up to whole vectors]. A query's result depends on nothing but the keys
and values that it sees, to the bit: not on the batch that it came in.
"""

from __future__ import annotations

import math

import numpy as np

from inference.kernels import gqa as room
from inference.kernels.arguments import Float32, same_size
from inference.kernels.attention.cpu import causal_softmax
from inference.kernels.cpu import checked
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import row_of_floats
from inference.kernels.gqa.tiles import LANES, TILE, mix_tile, score_tile
from inference.kernels.softmax.cpu import softmax_row

_score_1, _score_2, _score_3, _score_4 = (score_tile(n) for n in range(1, TILE + 1))
_mix_1, _mix_2, _mix_3, _mix_4 = (mix_tile(n) for n in range(1, TILE + 1))


def padded(size: int) -> int:
    """Return ``size`` filled up to whole vectors."""
    return -(-size // LANES) * LANES


def block_keys(k: Float32) -> Float32:
    """Lay out keys [s, KV, d] as [KV, blocks, d, 16]; positions past the end are zero."""
    s, kv_heads, d = k.shape
    filled = np.zeros((padded(s), kv_heads, d), np.float32)
    filled[:s] = k
    return np.ascontiguousarray(filled.reshape(-1, LANES, kv_heads, d).transpose(2, 0, 3, 1))


def pad_values(v: Float32) -> Float32:
    """Lay out values [s, KV, d] as [KV, s, d filled up]."""
    s, kv_heads, d = v.shape
    filled = np.zeros((kv_heads, s, padded(d)), np.float32)
    filled[:, :, :d] = v.transpose(1, 0, 2)
    return filled


@room.gqa.implementation("blocked")
def gqa_blocked(q: Float32, k: Float32, v: Float32, start: int | None = None) -> Float32:
    """Lay keys and values out as the cache has them; the sizes of k and v must be the same."""
    same_size("gqa", "k.shape[2]", k.shape[2], "v.shape[2]", v.shape[2])
    scores = blocked_scores(q, block_keys(k), 0, len(k))
    return blocked_mix(causal_softmax(scores, start), pad_values(v), 0, q.shape[2])


def blocked_scores(q: Float32, keys: Float32, start: int, stop: int) -> Float32:
    """Return q·kᵀ/√d with the keys at positions start..stop−1 of a cache, before any mask.

    Shapes:
        q: [n, H, d]; keys: [KV, blocks, d, 16]
        returns: [H, n, stop − start] float32
    """
    q = np.ascontiguousarray(q)
    n, heads, _ = q.shape
    first = start // LANES
    scores = np.empty((heads, n, padded(stop) - LANES * first), np.float32)
    for name, array in (("q", q), ("the keys", keys), ("the scores", scores)):
        checked.note(array, name)
    _score_all(q, keys, first, scores)
    checked.raise_fault("blocked_scores")
    skipped = start - LANES * first
    return np.ascontiguousarray(scores[:, :, skipped : skipped + stop - start])


def blocked_mix(weights: Float32, values: Float32, start: int, head_dim: int) -> Float32:
    """Return each query head's weighted sum of the values at positions from ``start`` on.

    Shapes:
        weights: [H, n, s]; values: [KV, rows, d filled up], rows ≥ start + s
        returns: [n, H, d] float32
    """
    heads, n, _ = weights.shape
    mixed = np.empty((n, heads, values.shape[2]), np.float32)
    weights = np.ascontiguousarray(weights)
    for name, array in (("the weights", weights), ("the values", values), ("the result", mixed)):
        checked.note(array, name)
    _mix_all(weights, values, start, mixed)
    checked.raise_fault("blocked_mix")
    return np.ascontiguousarray(mixed[:, :, :head_dim])


@njit(cache=True, nogil=True)
def score_heads(q, heads, size, keys, first, last, scores, stride):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Score q [heads, size] with blocks first..last−1, to scores [heads, stride]."""
    scale = np.float32(1.0 / math.sqrt(size))
    head = 0
    while head < heads:
        count = min(TILE, heads - head)
        tile, to = q + 4 * size * head, scores + 4 * stride * head
        if count == 4:
            _score_4(tile, 4 * size, keys, size, first, last, scale, to, 4 * stride)
        elif count == 3:
            _score_3(tile, 4 * size, keys, size, first, last, scale, to, 4 * stride)
        elif count == 2:
            _score_2(tile, 4 * size, keys, size, first, last, scale, to, 4 * stride)
        else:
            _score_1(tile, 4 * size, keys, size, first, last, scale, to, 4 * stride)
        head += count


@njit(cache=True, nogil=True)
def mix_heads(weights, stride, heads, values, vectors, first, last, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mix values first..last−1 by weights [heads, stride], to out [heads, 16 · vectors]."""
    row = 64 * vectors
    head = 0
    while head < heads:
        count = min(TILE, heads - head)
        tile, to = weights + 4 * stride * head, out + row * head
        if count == 4:
            _mix_4(tile, 4 * stride, values, row, first, last, vectors, to, row)
        elif count == 3:
            _mix_3(tile, 4 * stride, values, row, first, last, vectors, to, row)
        elif count == 2:
            _mix_2(tile, 4 * stride, values, row, first, last, vectors, to, row)
        else:
            _mix_1(tile, 4 * stride, values, row, first, last, vectors, to, row)
        head += count


@njit(nogil=True, inline="always")
def attend_head(  # type: ignore[no-untyped-def]
    q, heads, size, keys, values, gone, seen, scores, weights, stride, mixed, out
):  # pragma: no cover
    """Attend with the query heads of one group to positions gone..seen−1; addresses throughout.

    ``scores`` and ``weights`` have ``stride`` floats per head, the first for position gone rounded
    down to a block; ``mixed`` has room for the padded result, ``out`` for [heads, size].
    """
    first, last = gone // LANES, (seen + LANES - 1) // LANES
    skipped = gone - LANES * first
    score_heads(q, heads, size, keys, first, last, scores, stride)
    for head in range(heads):
        at = 4 * (stride * head + skipped)
        softmax_row(
            row_of_floats(scores + at, seen - gone), row_of_floats(weights + at, seen - gone)
        )
    vectors = (size + LANES - 1) // LANES
    result = out if LANES * vectors == size else mixed
    mix_heads(weights + 4 * skipped, stride, heads, values, vectors, gone, seen, result)
    if result != out:
        for head in range(heads):
            source = row_of_floats(mixed + 4 * LANES * vectors * head, size)
            target = row_of_floats(out + 4 * size * head, size)
            for i in range(size):
                target[i] = source[i]


@njit(nogil=True)
def remember_head(k, v, size, keys, values, position):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write one token's key and value of a head, [size] each, into a cache; all by address."""
    new_key, new_value = row_of_floats(k, size), row_of_floats(v, size)
    block = row_of_floats(keys + 4 * (position // LANES) * LANES * size, LANES * size)
    row = (size + LANES - 1) // LANES * LANES
    value = row_of_floats(values + 4 * position * row, size)
    lane = position % LANES
    for i in range(size):
        block[LANES * i + lane] = new_key[i]
        value[i] = new_value[i]


@njit(cache=True, nogil=True)
def _score_all(q, keys, first, scores):  # type: ignore[no-untyped-def]  # pragma: no cover
    group, size, width = q.shape[1] // keys.shape[0], q.shape[2], scores.shape[2]
    for head in range(keys.shape[0]):
        for token in range(q.shape[0]):
            score_heads(
                _at(q[token, group * head :]), group, size, _at(keys[head]),
                first, first + width // LANES, _at(scores[group * head :, token]),
                scores.shape[1] * width,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _mix_all(weights, values, start, mixed):  # type: ignore[no-untyped-def]  # pragma: no cover
    group, (_, n, seen) = mixed.shape[1] // values.shape[0], weights.shape
    for head in range(values.shape[0]):
        for token in range(n):
            mix_heads(
                _at(weights[group * head :, token]), n * seen, group, _at(values[head]),
                values.shape[2] // LANES, start, start + seen, _at(mixed[token, group * head :]),
            )  # fmt: skip


@njit(inline="always")
def _at(array):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return an address as everybody passes it: Numba's own is unsigned, a type for itself."""
    return np.int64(array.ctypes.data)
