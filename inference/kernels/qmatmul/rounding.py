"""Activations to int8: one block of 32 in two vectors."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from inference.kernels.qmatmul.lanes import F32, FLOATS, I8, I32, WORDS, Lanes, every, vector
from inference.kernels.qmatmul.target import TARGET

_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000
_SMALLEST_NORMAL = 2.0**-126


def _reduce_largest(builder: Any, words: Any) -> Any:
    kind = ir.FunctionType(I32, [WORDS])
    name = "llvm.vector.reduce.umax.v16i32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [words])


@intrinsic
def round_block(typing_context, x, q):  # type: ignore[no-untyped-def]
    """Write 32 int8 to address ``q`` for the float32 at address ``x``; return their scale.

    Below the smallest normal number the reciprocal overflows: the block becomes zero, and so does
    its scale. Infinities and NaN give a scale of NaN, so that they are seen in the result.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x, q = arguments
        b, v = builder, Lanes(builder, TARGET)
        halves = [v.load(FLOATS, v.at(x, 64 * i)) for i in range(2)]
        # Without the sign, the order of floats is that of their bits.
        sizes = [b.and_(b.bitcast(half, WORDS), every(WORDS, _MAGNITUDE)) for half in halves]
        larger = b.select(b.icmp_unsigned(">", *sizes), *sizes)
        largest = _reduce_largest(b, larger)
        scale = b.fdiv(b.bitcast(largest, F32), ir.Constant(F32, 127.0))
        special = b.icmp_unsigned(">=", largest, ir.Constant(I32, _INFINITY))
        tiny = b.fcmp_ordered("<", scale, ir.Constant(F32, _SMALLEST_NORMAL))
        none = b.or_(special, tiny)
        divisor = b.select(none, ir.Constant(F32, 1.0), scale)
        inverse = b.fdiv(ir.Constant(F32, 1.0), divisor)
        empty = ir.Constant(FLOATS, ir.Undefined)
        one = b.insert_element(empty, inverse, ir.Constant(I32, 0))
        factor = b.shuffle_vector(one, empty, every(WORDS, 0))
        for i, half in enumerate(halves):
            finite = b.select(none, every(FLOATS, 0.0), half)
            value = b.fmul(finite, factor)
            whole = b.fptosi(value, WORDS)
            rest = b.fsub(value, b.sitofp(whole, FLOATS))
            away = b.fptosi(b.fadd(rest, rest), WORDS)  # halves go away from zero
            v.store(b.trunc(b.add(whole, away), vector(I8, 16)), v.at(q, 16 * i))
        kept = b.select(tiny, ir.Constant(F32, 0.0), scale)
        return b.select(special, ir.Constant(F32, float("nan")), kept)

    return types.float32(types.int64, types.int64), generate
