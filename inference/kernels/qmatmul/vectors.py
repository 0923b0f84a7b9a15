"""The few steps that a plain loop over bytes does badly, in portable LLVM IR.

A loop's integer sum is carried as int64, and its stores might overwrite its loads: LLVM then
vectorizes poorly or not at all. Written with whole vectors it chooses the best instructions that
the machine has (VNNI, AVX2, NEON) and splits vectors where registers are narrower. No target
intrinsic is named, so this compiles everywhere.

Numba's cache does not see a change in this module: after one, touch ``cpu.py``.

Every function takes contiguous uint8 or int8 arrays and element offsets, and checks neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_BYTE, _INT32 = ir.IntType(8), ir.IntType(32)


class _Vectors:
    """Vectors of bytes in the arguments of the function that is being generated."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self._data = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def _address(self, array: int, at: int, more: int, kind: Any) -> Any:
        offset = self.builder.add(self._data[at], ir.Constant(self._data[at].type, more))
        address = self.builder.gep(self._data[array], [offset])
        return self.builder.bitcast(address, kind.as_pointer())

    def load(self, array: int, at: int, kind: Any, more: int = 0) -> Any:
        """Load from argument ``array`` at the offset in argument ``at``, plus ``more``."""
        return self.builder.load(self._address(array, at, more, kind), align=1)

    def store(self, value: Any, array: int, at: int, more: int = 0) -> None:
        self.builder.store(value, self._address(array, at, more, value.type), align=1)

    def bits(self, value: Any, shift: int, count: int, left: int = 0) -> Any:
        """Return ``count`` bits of every byte from bit ``shift`` on, moved up by ``left``."""
        value = self.builder.lshr(value, self._all(value, shift))
        value = self.builder.and_(value, self._all(value, (1 << count) - 1))
        return self.builder.shl(value, self._all(value, left))

    @staticmethod
    def _all(value: Any, number: int) -> Any:
        return ir.Constant(value.type, [number] * value.type.count)


def _bytes(count: int) -> Any:
    return ir.VectorType(_BYTE, count)


def _dot(width: int) -> Any:
    """Make ``dot(levels, q, first)``: Σ levels[i]·q[i], uint8 by int8, summed in int32."""

    def dot(typing_context, levels, q, first):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            vectors = _Vectors(context, builder, signature, arguments)
            wide = ir.VectorType(_INT32, width)
            products = builder.mul(
                builder.zext(vectors.load(0, 2, _bytes(width)), wide),
                builder.sext(vectors.load(1, 2, _bytes(width)), wide),
            )
            name = f"llvm.vector.reduce.add.v{width}i32"
            reduce = ir.FunctionType(_INT32, [wide])
            return builder.call(
                cgutils.get_or_insert_function(builder.module, reduce, name), [products]
            )

        return types.int32(levels, q, types.intp), generate

    return intrinsic(dot)


def _unpack(emit: Callable[[_Vectors], None]) -> Any:
    """Make ``unpack(block, at, levels, to)`` from the steps that ``emit`` generates."""

    def unpack(typing_context, block, at, levels, to):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            emit(_Vectors(context, builder, signature, arguments))
            return context.get_dummy_value()

        return types.void(block, types.intp, levels, types.intp), generate

    return intrinsic(unpack)


def _nibbles(vectors: _Vectors, width: int, more: int = 0, to: int = 0) -> None:
    packed = vectors.load(0, 1, _bytes(width), more)
    vectors.store(vectors.bits(packed, 0, 4), 2, 3, to)
    vectors.store(vectors.bits(packed, 4, 4), 2, 3, to + width)


def _emit_nibbles(vectors: _Vectors) -> None:
    _nibbles(vectors, 16)


def _emit_fives(vectors: _Vectors) -> None:
    low, high = (vectors.bits(vectors.load(0, 1, _bytes(16), 4), shift, 4) for shift in (0, 4))
    builder = vectors.builder
    order = ir.Constant(ir.VectorType(_INT32, 32), list(range(32)))
    both = builder.shuffle_vector(low, high, order)
    # Little-endian: bit i of the word is lane i.
    lanes = builder.bitcast(vectors.load(0, 1, _INT32), ir.VectorType(ir.IntType(1), 32))
    fifth = vectors.bits(builder.zext(lanes, _bytes(32)), 0, 1, left=4)
    vectors.store(builder.or_(both, fifth), 2, 3)


def _emit_signed(vectors: _Vectors) -> None:
    packed = vectors.load(0, 1, _bytes(32))
    flipped = vectors.builder.xor(packed, ir.Constant(packed.type, [128] * 32))
    vectors.store(flipped, 2, 3)


def _emit_q4_k(vectors: _Vectors) -> None:
    for group in range(4):
        _nibbles(vectors, 32, 32 * group, 64 * group)


def _emit_q5_k(vectors: _Vectors) -> None:
    high = vectors.load(0, 1, _bytes(32))
    for j in range(8):
        low = vectors.load(0, 1, _bytes(32), 32 + 32 * (j // 2))
        level = vectors.builder.or_(
            vectors.bits(low, 4 * (j % 2), 4), vectors.bits(high, j, 1, left=4)
        )
        vectors.store(level, 2, 3, 32 * j)


def _emit_q6_k(vectors: _Vectors) -> None:
    for half in range(2):
        high = vectors.load(0, 1, _bytes(32), 128 + 32 * half)
        for quarter in range(4):
            low = vectors.load(0, 1, _bytes(32), 64 * half + 32 * (quarter % 2))
            level = vectors.builder.or_(
                vectors.bits(low, 4 * (quarter // 2), 4),
                vectors.bits(high, 2 * quarter, 2, left=4),
            )
            vectors.store(level, 2, 3, 128 * half + 32 * quarter)


dot16, dot32 = _dot(16), _dot(32)

unpack_nibbles = _unpack(_emit_nibbles)
"""16 bytes to 32 levels: low nibbles, then high nibbles."""

unpack_fives = _unpack(_emit_fives)
"""4 bytes of fifth bits and 16 bytes of nibbles to 32 levels."""

unpack_signed = _unpack(_emit_signed)
"""32 signed bytes to 32 levels 128 higher: the top bit is flipped."""

unpack_q4_k = _unpack(_emit_q4_k)
"""The 128 bytes of ``qs`` to 256 levels."""

unpack_q5_k = _unpack(_emit_q5_k)
"""The 160 bytes of ``qh`` and ``qs`` to 256 levels."""

unpack_q6_k = _unpack(_emit_q6_k)
"""The 192 bytes of ``ql`` and ``qh`` to 256 levels."""
