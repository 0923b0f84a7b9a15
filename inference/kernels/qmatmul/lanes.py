"""Vector code for 16 rows at a time: one lane of 32 bits is one row, so nothing is summed across.

Vectors are 64 bytes in LLVM's terms; where registers are narrower LLVM splits them. Only the dot
product of bytes names instructions of a target, and only those that ``target`` found.

Saturation: AVX2's ``pmaddubsw`` adds two products in 16 bits. Levels up to 63 stay below
2·63·127; signed weights go through |w| and ±x, at most 2·128·127 = 32512.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference.kernels.cpu import checked
from inference.kernels.qmatmul.target import Target

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F16, F32 = ir.HalfType(), ir.FloatType()

ROWS = 16
"""Rows that one vector serves."""


def vector(kind: Any, count: int) -> Any:
    """Return the type of ``count`` elements side by side."""
    return ir.VectorType(kind, count)


BYTES, PAIRS = vector(I8, 64), vector(I16, 32)
WORDS, FLOATS = vector(I32, ROWS), vector(F32, ROWS)


def every(kind: Any, number: float) -> Any:
    """Return a constant vector with the same number everywhere."""
    return ir.Constant(kind, [number] * kind.count)


def _bytes(kind: Any) -> int:
    """Return the size of a vector or a number."""
    count, element = getattr(kind, "count", 1), getattr(kind, "element", kind)
    bits: int = {F16: 16, F32: 32}.get(element) or element.width
    return count * bits // 8


class Lanes:
    """Emits vector code through one builder. Addresses are 64-bit integers."""

    def __init__(self, builder: Any, target: Target) -> None:
        self.builder = builder
        self.target = target

    def at(self, address: Any, *offsets: Any) -> Any:
        """Add offsets, numbers or values, to an address."""
        for offset in offsets:
            address = self.builder.add(address, self.number(offset))
        return address

    def times(self, value: Any, factor: int) -> Any:
        """Multiply a 64-bit value by a constant."""
        return self.builder.mul(value, self.number(factor))

    @staticmethod
    def number(value: Any) -> Any:
        """Turn a Python number into a 64-bit constant; leave values alone."""
        return ir.Constant(I64, value) if isinstance(value, int) else value

    def load(self, kind: Any, address: Any) -> Any:
        """Load a vector or a number from any address."""
        address = checked.emit(self.builder, address, _bytes(kind))
        return self.builder.load(self.builder.inttoptr(address, kind.as_pointer()), align=1)

    def store(self, value: Any, address: Any) -> None:
        """Store a vector or a number at any address."""
        address = checked.emit(self.builder, address, _bytes(value.type))
        place = self.builder.inttoptr(address, value.type.as_pointer())
        self.builder.store(value, place, align=1)

    def prefetch(self, address: Any, size: int) -> None:
        """Ask for ``size`` bytes ahead of time; an address outside the process does no harm."""
        for line in range(0, size, 64):
            place = self.builder.inttoptr(self.at(address, line), I8.as_pointer())
            hints = [ir.Constant(I32, hint) for hint in (0, 3, 1)]  # read, keep, data
            self._call("llvm.prefetch.p0", ir.VoidType(), [place, *hints])

    def spread(self, kind: Any, address: Any) -> Any:
        """Load one number and repeat it in all lanes."""
        value = self.load(kind, address)
        empty = ir.Constant(vector(kind, ROWS), ir.Undefined)
        first = self.builder.insert_element(empty, value, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(first, empty, every(WORDS, 0))

    def halves(self, address: Any) -> Any:
        """Load 16 float16 and widen them; exact for every value."""
        b = self.builder
        if self.target.half:
            return b.fpext(self.load(vector(F16, ROWS), address), FLOATS)
        wide = b.zext(self.load(vector(I16, ROWS), address), WORDS)
        magnitude = b.shl(b.and_(wide, every(WORDS, 0x7FFF)), every(WORDS, 13))
        finite = b.fmul(b.bitcast(magnitude, FLOATS), every(FLOATS, 2.0**112))
        special = b.bitcast(b.or_(magnitude, every(WORDS, 0x7F800000)), FLOATS)
        exponent = b.and_(wide, every(WORDS, 0x7C00))
        is_special = b.icmp_unsigned("==", exponent, every(WORDS, 0x7C00))
        value = b.bitcast(b.select(is_special, special, finite), WORDS)
        sign = b.shl(b.and_(wide, every(WORDS, 0x8000)), every(WORDS, 16))
        return b.bitcast(b.or_(value, sign), FLOATS)

    def integers(self, address: Any, *, signed: bool) -> Any:
        """Load 16 bytes as float32 numbers."""
        b, values = self.builder, self.load(vector(I8, ROWS), address)
        return b.sitofp(values, FLOATS) if signed else b.uitofp(values, FLOATS)

    def bits(self, value: Any, left: int, mask: int) -> Any:
        """Shift every byte to the left, to the right if negative, and keep the bits of ``mask``."""
        b = self.builder
        if left:
            wide = b.bitcast(value, PAIRS)
            shift = b.shl if left > 0 else b.lshr
            value = b.bitcast(shift(wide, every(PAIRS, abs(left))), BYTES)
        return b.and_(value, every(BYTES, mask))

    def bits_down(self, value: Any, right: Any, mask: int) -> Any:
        """Shift every byte right by a run-time amount and keep the bits of ``mask``."""
        b = self.builder
        first = b.insert_element(
            ir.Constant(PAIRS, ir.Undefined), b.trunc(right, I16), ir.Constant(I32, 0)
        )
        amounts = b.shuffle_vector(first, first, every(vector(I32, 32), 0))
        return self.bits(b.bitcast(b.lshr(b.bitcast(value, PAIRS), amounts), BYTES), 0, mask)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a·b + c, rounded once where the target can."""
        if self.target.fma:
            return self._call("llvm.fma.v16f32", FLOATS, [a, b, c])
        return self.builder.fadd(self.builder.fmul(a, b), c)

    def dot(self, total: Any, weights: Any, x: Any, *, signed: bool) -> Any:
        """Add to every lane the products of its four weights with four activations.

        ``weights`` are unsigned bytes, or signed ones; ``x`` has the same int8 word in all lanes.
        """
        b = self.builder
        match self.target.dot:
            case "vnni512":
                words = b.bitcast(weights, WORDS)
                return self._call("llvm.x86.avx512.vpdpbusd.512", WORDS, [total, words, x])
            case "vnni256":
                parts = (self._parts(v, 2) for v in (total, b.bitcast(weights, WORDS), x))
                return self._join(
                    self._call("llvm.x86.avx512.vpdpbusd.256", vector(I32, 8), arguments)
                    for arguments in zip(*parts, strict=True)
                )
            case "avx2":
                return b.add(total, self._dot_avx2(weights, b.bitcast(x, BYTES), signed))
            case "sdot":  # levels up to 127 are the same signed
                parts = (self._parts(v, 4) for v in (total, weights, b.bitcast(x, BYTES)))
                return self._join(
                    self._call("llvm.aarch64.neon.sdot.v4i32.v16i8", vector(I32, 4), arguments)
                    for arguments in zip(*parts, strict=True)
                )
            case "generic":
                return b.add(total, self._dot_generic(weights, b.bitcast(x, PAIRS), signed))

    def _dot_avx2(self, weights: Any, x: Any, signed: bool) -> Any:
        b = self.builder
        if signed:
            zero, negative = every(BYTES, 0), b.icmp_signed("<", weights, every(BYTES, 0))
            weights = b.select(negative, b.sub(zero, weights), weights)
            x = b.select(negative, b.sub(zero, x), x)
        ones = every(vector(I16, 16), 1)
        return self._join(
            self._call(
                "llvm.x86.avx2.pmadd.wd",
                vector(I32, 8),
                [self._call("llvm.x86.avx2.pmadd.ub.sw", vector(I16, 16), pair), ones],
            )
            for pair in zip(self._parts(weights, 2), self._parts(x, 2), strict=True)
        )

    def _dot_generic(self, weights: Any, x: Any, signed: bool) -> Any:
        b, eight, sixteen = self.builder, every(PAIRS, 8), every(WORDS, 16)
        w = b.bitcast(weights, PAIRS)
        right = b.ashr if signed else b.lshr
        low = b.mul(right(b.shl(w, eight), eight), b.ashr(b.shl(x, eight), eight))
        high = b.mul(right(w, eight), b.ashr(x, eight))
        sums = b.bitcast(b.add(low, high), WORDS)
        return b.add(b.ashr(b.shl(sums, sixteen), sixteen), b.ashr(sums, sixteen))

    def _parts(self, value: Any, count: int) -> list[Any]:
        size = value.type.count // count
        return [
            self.builder.shuffle_vector(
                value, value, ir.Constant(vector(I32, size), list(range(first, first + size)))
            )
            for first in range(0, value.type.count, size)
        ]

    def _join(self, parts: Iterable[Any]) -> Any:
        found = list(parts)
        while len(found) > 1:
            found = [self._joined(*found[i : i + 2]) for i in range(0, len(found), 2)]
        return found[0]

    def _joined(self, low: Any, high: Any) -> Any:
        order = ir.Constant(vector(I32, 2 * low.type.count), list(range(2 * low.type.count)))
        return self.builder.shuffle_vector(low, high, order)

    def _call(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)
