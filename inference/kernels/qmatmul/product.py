"""The loops of a product over packed rows, generated for one type and one processor.

A few tokens: levels are unpacked in registers and used once. ``TILE`` tokens or more: a group of
16 rows is unpacked into scratch memory that stays in the cache, and meets eight tokens at a time,
the last eight overlapping others if need be. Per row and token, both do the same additions in the
same order, so that a token's result does not depend on its company.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.lanes import BYTES, F32, FLOATS, I32, I64, WORDS, Lanes, every
from inference.kernels.qmatmul.layouts import Layout
from inference.kernels.qmatmul.target import TARGET
from inference.kernels.qmatmul.unpacking import Block
from inference.quant.types import GGMLType

TILE = 8
"""Tokens that share the levels in registers."""

LEVEL_BYTES, SCALE_BYTES = 512, 128
"""Scratch memory per block of 32 weights of 16 rows."""

_AHEAD = 512  # bytes; more did not help on any machine tried


def unsigned_levels(layout: Layout) -> bool:
    """Whether the dot product reads levels as unsigned bytes, 128 higher if they were signed."""
    return TARGET.unsigned or not layout.signed


def correction_factor(dtype: GGMLType) -> int:
    """Return what a sum of activations is multiplied with to correct for the levels' offset."""
    layout = FUSED[dtype].layout
    if layout.signed:
        return -128 if TARGET.unsigned else 0
    return -layout.offset


class _Product:
    """One product under generation: its arguments as LLVM values, and its loops."""

    def __init__(self, builder: Any, dtype: GGMLType, **values: Any) -> None:
        self.lanes = Lanes(builder, TARGET)
        self.builder = builder
        row = FUSED[dtype]
        self.layout, self.step, self.unpack = row.layout, row.step, row.unpack
        self.packed, self.blocks = values["packed"], values["blocks"]
        self.q, self.scales = values["q"], values["scales"]
        self.corrections, self.out = values["corrections"], values["out"]
        self.width, self.scratch = values["width"], values["scratch"]
        self.per_block = 8 if self.layout.form == "halves" else 4

    def decode(self, group: Any, token: Any) -> None:
        """Multiply one group of rows with one token, unpacking on the way."""
        total = cgutils.alloca_once(self.builder, FLOATS)
        self.builder.store(every(FLOATS, 0.0), total)
        for first, blocks in self._unpacked(group, ahead=_AHEAD):
            for j, block in enumerate(blocks):
                self._add(self._flipped(block), self.lanes.at(first, j), token, total)
        self._put(group, token, total)

    def expand(self, group: Any) -> None:
        """Unpack one group of rows into the scratch memory."""
        v = self.lanes
        for first, blocks in self._unpacked(group):
            for j, block in enumerate(blocks):
                levels, scales = self._scratch(v.at(first, j))
                for i, level in enumerate(self._flipped(block).levels):
                    v.store(level, v.at(levels, 64 * i))
                for i, scale in enumerate(block.scales):
                    v.store(scale, v.at(scales, 64 * i))

    def tile(self, group: Any, token: Any) -> None:
        """Multiply the group in the scratch memory with eight tokens."""
        v, tokens = self.lanes, [self.lanes.at(token, i) for i in range(TILE)]
        totals = [cgutils.alloca_once(self.builder, FLOATS) for _ in tokens]
        for total in totals:
            self.builder.store(every(FLOATS, 0.0), total)
        with cgutils.for_range(self.builder, self.blocks) as loop:
            levels, scales = self._scratch(loop.index)
            count = 1 if self.layout.form == "offset" else 2
            block = Block(
                [v.load(BYTES, v.at(levels, 64 * i)) for i in range(8)],
                tuple(v.load(FLOATS, v.at(scales, 64 * i)) for i in range(count)),
            )
            for one, total in zip(tokens, totals, strict=True):
                self._add(block, loop.index, one, total)
        for one, total in zip(tokens, totals, strict=True):
            self._put(group, one, total)

    def _unpacked(self, group: Any, ahead: int = 0) -> Any:
        """Loop over the group's packed bytes; yield, once, the first block and the blocks."""
        b, v, layout = self.builder, self.lanes, self.layout
        units = b.udiv(self.blocks, v.number(layout.blocks))
        start = v.at(self.packed, b.mul(group, v.times(units, layout.size)))
        parts = layout.blocks // self.step
        with cgutils.for_range(b, b.udiv(self.blocks, v.number(self.step))) as loop:
            unit = v.at(start, v.times(b.udiv(loop.index, v.number(parts)), layout.size))
            part = b.urem(loop.index, v.number(parts))
            if ahead:
                size = layout.size // parts
                v.prefetch(v.at(unit, v.times(part, size), ahead), size)
            yield v.times(loop.index, self.step), self.unpack(v, unit, part)

    def _flipped(self, block: Block) -> Block:
        """Raise signed levels by 128 where the dot product wants unsigned ones."""
        if not self.layout.signed or not TARGET.unsigned:
            return block
        flip = every(BYTES, -128)
        return Block([self.builder.xor(level, flip) for level in block.levels], block.scales)

    def _add(self, block: Block, index: Any, token: Any, total: Any) -> None:
        """Add the products of one block; every path comes here, so that all round alike."""
        b, v = self.builder, self.lanes
        number = v.at(b.mul(token, self.blocks), index)
        q, place = v.at(self.q, v.times(number, 32)), v.times(number, self.per_block)
        correction = v.at(self.corrections, place)
        scale = v.spread(F32, v.at(self.scales, v.times(number, 4)))
        before = b.load(total)
        if self.layout.form == "halves":
            left, right = (
                self._dot(
                    block.levels[i : i + 4], v.at(q, 4 * i), v.spread(I32, v.at(correction, i))
                )
                for i in (0, 4)
            )
            product = b.fmul(b.sitofp(left, FLOATS), block.scales[0])
            product = v.multiply_add(b.sitofp(right, FLOATS), block.scales[1], product)
            after = v.multiply_add(product, scale, before)
        else:
            offset = self.layout.form == "offset"
            start = v.spread(I32, correction) if offset else every(WORDS, 0)
            # Two chains, so that one product need not wait for the other.
            left = self._dot(block.levels[:4], q, start)
            right = self._dot(block.levels[4:], v.at(q, 16), every(WORDS, 0))
            dot = b.sitofp(b.add(left, right), FLOATS)
            after = v.multiply_add(dot, b.fmul(block.scales[0], scale), before)
            if not offset:
                after = v.multiply_add(block.scales[1], v.spread(F32, correction), after)
        b.store(after, total)

    def _dot(self, levels: list[Any], q: Any, total: Any) -> Any:
        signed = not unsigned_levels(self.layout)
        for i, level in enumerate(levels):
            x = self.lanes.spread(I32, self.lanes.at(q, 4 * i))
            total = self.lanes.dot(total, level, x, signed=signed)
        return total

    def _put(self, group: Any, token: Any, total: Any) -> None:
        b, v = self.builder, self.lanes
        number = v.at(b.mul(token, self.width), v.times(group, 16))
        v.store(b.load(total), v.at(self.out, v.times(number, 4)))

    def _scratch(self, index: Any) -> tuple[Any, Any]:
        v = self.lanes
        scales = v.at(self.scratch, v.times(self.blocks, LEVEL_BYTES))
        return (
            v.at(self.scratch, v.times(index, LEVEL_BYTES)),
            v.at(scales, v.times(index, SCALE_BYTES)),
        )


@intrinsic(prefer_literal=True)
def product(  # type: ignore[no-untyped-def]
    typing_context, number, packed, blocks, q, scales, corrections, out, width, scratch, tokens,
    first, last,
):  # fmt: skip
    """Make the product of the type of this number, a constant where the call is compiled.

    The other arguments are those of ``cpu``, int64. The scratch memory has LEVEL_BYTES and
    SCALE_BYTES per block; it is not used for fewer than ``TILE`` tokens.
    """
    dtype = GGMLType(number.literal_value)
    names = ("packed", "blocks", "q", "scales", "corrections", "out", "width", "scratch")

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        tokens, first, last = values[9:]
        code = _Product(builder, dtype, **dict(zip(names, values[1:9], strict=True)))
        many = builder.icmp_signed(">=", tokens, ir.Constant(I64, TILE))
        groups = builder.sub(last, first)
        with cgutils.for_range(builder, groups) as rows:
            group = builder.add(first, rows.index)
            with builder.if_else(many) as (if_many, if_few):
                with if_many:
                    code.expand(group)
                    tiles = builder.udiv(
                        builder.add(tokens, ir.Constant(I64, TILE - 1)),
                        ir.Constant(I64, TILE),
                    )
                    latest = builder.sub(tokens, ir.Constant(I64, TILE))
                    with cgutils.for_range(builder, tiles) as loop:
                        token = builder.mul(loop.index, ir.Constant(I64, TILE))
                        past = builder.icmp_signed(">", token, latest)
                        code.tile(group, builder.select(past, latest, token))
                with if_few, cgutils.for_range(builder, tokens) as loop:
                    code.decode(group, loop.index)
        return context.get_dummy_value()

    return types.void(number, *[types.int64] * 11), generate
