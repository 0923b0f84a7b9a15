"""The two products of attention over keys in blocks of 16 positions, a few query heads at a time.

A vector holds 16 positions of one key element, or 16 elements of one value: nothing is summed
across lanes. How many heads share a tile does not change the order of any sum.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from inference.kernels.qmatmul.lanes import F32, FLOATS, I32, WORDS, Lanes, every
from inference.kernels.qmatmul.target import TARGET

LANES = 16
VECTOR_BYTES = 64
TILE = 4
"""Query heads that share a key or a value in registers, at most."""

_CHAINS = 2  # partial sums of a score, so that one product need not wait for the other
_WIDE = 4  # vectors of a value that share a weight in registers


def _sums(builder: Any, rows: int, columns: int) -> list[list[Any]]:
    return [[cgutils.alloca_once(builder, FLOATS) for _ in range(columns)] for _ in range(rows)]


def _clear(builder: Any, sums: list[list[Any]]) -> None:
    for row in sums:
        for total in row:
            builder.store(every(FLOATS, 0.0), total)


def score_tile(queries: int) -> Any:
    """Make the scores of some query heads with blocks of keys.

    q: [queries, stride bytes]; keys: [blocks, size, 16]; out: [queries, out_stride bytes], from the
    first position of block ``first`` on. All addresses; ``scale`` multiplies every score.
    """

    def run(context, q, stride, keys, size, first, last, scale, out, out_stride):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            q, stride, keys, size, first, last, scale, out, out_stride = values
            b, v = builder, Lanes(builder, TARGET)
            heads = [v.at(q, b.mul(stride, v.number(i))) for i in range(queries)]
            places = [v.at(out, b.mul(out_stride, v.number(i))) for i in range(queries)]
            sums = _sums(b, queries, _CHAINS)
            empty = ir.Constant(FLOATS, ir.Undefined)
            one = b.insert_element(empty, scale, ir.Constant(I32, 0))
            factor = b.shuffle_vector(one, empty, every(WORDS, 0))

            def add(block: Any, element: Any, chain: int) -> None:
                key = v.load(FLOATS, v.at(block, v.times(element, VECTOR_BYTES)))
                for head, row in zip(heads, sums, strict=True):
                    query = v.spread(F32, v.at(head, v.times(element, 4)))
                    b.store(v.multiply_add(key, query, b.load(row[chain])), row[chain])

            with cgutils.for_range(b, b.sub(last, first)) as blocks:
                number = b.add(first, blocks.index)
                block = v.at(keys, b.mul(number, v.times(size, VECTOR_BYTES)))
                _clear(b, sums)
                with cgutils.for_range(b, b.udiv(size, v.number(_CHAINS))) as pairs:
                    for chain in range(_CHAINS):
                        add(block, v.at(v.times(pairs.index, _CHAINS), chain), chain)
                with cgutils.for_range(b, b.urem(size, v.number(_CHAINS))) as rest:
                    element = b.sub(b.sub(size, v.number(1)), rest.index)
                    add(block, element, 0)
                for place, row in zip(places, sums, strict=True):
                    score = b.fmul(b.fadd(b.load(row[0]), b.load(row[1])), factor)
                    v.store(score, v.at(place, v.times(blocks.index, VECTOR_BYTES)))
            return context.get_dummy_value()

        i64 = types.int64
        return types.void(i64, i64, i64, i64, i64, i64, types.float32, i64, i64), generate

    return intrinsic(run)


def mix_tile(queries: int) -> Any:
    """Make the weighted sums of values for some query heads.

    weights: [queries, stride bytes], from position ``first`` on; values: [positions, row bytes];
    out: [queries, out_stride bytes], of which ``vectors`` times 16 elements are written.
    """

    def run(context, weights, stride, values, row, first, last, vectors, out, out_stride):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            weights, stride, values, row, first, last, vectors, out, out_stride = arguments
            b, v = builder, Lanes(builder, TARGET)
            heads = [v.at(weights, b.mul(stride, v.number(i))) for i in range(queries)]
            places = [v.at(out, b.mul(out_stride, v.number(i))) for i in range(queries)]

            def columns(start: Any, wide: int) -> None:
                sums = _sums(b, queries, wide)
                _clear(b, sums)
                begin = v.times(start, VECTOR_BYTES)
                with cgutils.for_range(b, b.sub(last, first)) as positions:
                    at = v.at(values, b.mul(b.add(first, positions.index), row), begin)
                    loaded = [v.load(FLOATS, v.at(at, VECTOR_BYTES * i)) for i in range(wide)]
                    for head, totals in zip(heads, sums, strict=True):
                        weight = v.spread(F32, v.at(head, v.times(positions.index, 4)))
                        for value, total in zip(loaded, totals, strict=True):
                            b.store(v.multiply_add(value, weight, b.load(total)), total)
                for place, totals in zip(places, sums, strict=True):
                    for i, total in enumerate(totals):
                        v.store(b.load(total), v.at(place, begin, VECTOR_BYTES * i))

            with cgutils.for_range(b, b.udiv(vectors, v.number(_WIDE))) as loop:
                columns(v.times(loop.index, _WIDE), _WIDE)
            with cgutils.for_range(b, b.urem(vectors, v.number(_WIDE))) as loop:
                columns(b.sub(b.sub(vectors, v.number(1)), loop.index), 1)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), generate

    return intrinsic(run)
