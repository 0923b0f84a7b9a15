"""Procedures of q4k-q6k-superblock-v1: sizes, bits, round trips and the compiled product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from inference.formats import open_model
from inference.kernels import qmatmul
from inference.kernels.qmatmul.reference import PARSERS
from inference.kernels.qmatmul.reference import qmatmul as scalar_qmatmul
from inference.quant import GGMLType, dequantize, quantize, reference
from inference.quant.types import block_size, padded_row_bytes, type_size
from pytest_contracts.symbolic import Draws

Compared = Callable[..., object]
Blocks = NDArray[np.uint8]

# Bytes of the float16 fields; ggml-common.h.
HALVES: Mapping[str, tuple[int, ...]] = {
    "Q4_1": (0, 2),
    "Q5_1": (0, 2),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
ONE = np.frombuffer(np.float16(1).tobytes(), dtype=np.uint8)
SAMPLE = 1 << 20  # weights of one tensor that are looked at: enough for every row of a small one


def blocks_of(kind: str, count: int, seed: int) -> Blocks:
    """Random blocks with d = 1 (and dmin = 1): every product of small integers is exact."""
    size = type_size(GGMLType[kind])
    blocks = np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES.get(kind, (0,)):
        blocks[:, at : at + 2] = ONE
    return blocks


def tensors_of(kind: str, path: Path) -> dict[str, tuple[Blocks, int]]:
    """The leading rows of a model's tensors of one type, with their columns."""
    with open_model(path) as file:
        found = {}
        for name, info in file.tensors.items():
            if info.dtype == GGMLType[kind]:
                cols = info.shape[-1]
                rows = min(info.shape[0], max(1, SAMPLE // cols))
                size = padded_row_bytes(info.dtype, cols)
                found[name] = (file.raw(name)[: rows * size].reshape(rows, size).copy(), cols)
        return found


def bits_equal_the_gguf_package(kind: str, gguf_path: Path, compared: Compared) -> None:
    """Compare bit patterns, so that signs of zero count too."""
    dtype = GGMLType[kind]
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (256, type_size(dtype)), dtype=np.uint8)
    for at in HALVES[kind]:
        noise[:, at + 1] &= 0xBB  # clears a bit of the exponent: the scale is finite
    sources = {"random blocks": (noise, block_size(dtype)), **tensors_of(kind, gguf_path)}
    for name, (packed, cols) in sources.items():
        expected = np.ascontiguousarray(gguf.quants.dequantize(packed, dtype))
        actual = dequantize(packed, dtype, (len(packed), cols))
        different = np.count_nonzero(actual.view(np.uint32) != expected.view(np.uint32))
        assert not different, f"{name}: {different} of {actual.size} weights differ"
        compared(actual.size, what="weights")


def weights_come_back(kind: str, x: NDArray[np.float32], compared: Compared) -> None:
    """One step of the sub-block, and what rounding its scale and min to 6 or 8 bits costs."""
    back = dequantize(quantize(x, GGMLType[kind]), GGMLType[kind], x.shape)
    if kind == "Q4_K":
        parts = x.reshape(8, 32).astype(np.float64)
        low = np.minimum(parts.min(axis=1), 0)
        step = (parts.max(axis=1) - low) / 15
        allowed, largest = step + (15 * step.max() - low.min()) / 63, 63 * 15 + 63
    else:
        parts = x.reshape(16, 16).astype(np.float64)
        step = np.abs(parts).max(axis=1) / 32
        allowed, largest = step + 32 * step.max() / 128, 128 * 32
    # Float16 holds d and dmin: 11 bits, in steps of 2^-24 at least.
    allowed = 1.01 * allowed + largest * 2.0**-25
    error = np.abs(back.reshape(parts.shape) - parts).max(axis=1)
    assert (error <= allowed).all(), (error / allowed).max()
    compared(x.size, what="weights")


def a_second_round_costs_little(kind: str, gguf_path: Path, compared: Compared) -> None:
    """Quantize the weights of quantized tensors again: the difference is a fraction of a step."""
    dtype = GGMLType[kind]
    limit = 0.01
    for name, (packed, cols) in tensors_of(kind, gguf_path).items():
        packed = packed[: max(1, (1 << 16) // cols)]
        once = dequantize(packed, dtype, (len(packed), cols))
        twice = dequantize(quantize(once, dtype), dtype, once.shape)
        change = np.linalg.norm(twice - once) / np.linalg.norm(once)
        assert change < limit, f"{name}: relative change {change:.4f}"
        compared(once.size, what="weights")


def sizes_are_those_of_the_gguf_package(
    kind: str, rows: int, cols: int, compared: Compared
) -> None:
    """Three ways to one number: the formula, the quantizer's output, the gguf package."""
    dtype = GGMLType[kind]
    whole = -(-cols // 256) * 256
    theirs = rows * gguf.quants.quant_shape_to_byte_shape((whole,), dtype)[0]
    assert reference.superblock_bytes(rows, cols, kind) == theirs
    assert rows * padded_row_bytes(dtype, cols) == theirs
    counted = 2
    if kind != "Q5_K":
        assert quantize(np.ones((rows, cols), dtype=np.float32), dtype).size == theirs
        counted += 1
    compared(counted, what="sizes")


def offset_ignores_the_levels(compared: Compared) -> None:
    """d = 0 leaves the mins alone: any two sets of levels give the same bits, the right ones."""
    rows, cols = 16, 512
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3, cols)).astype(np.float32)
    weights = blocks_of("Q4_K", 2 * rows, 1).reshape(rows, 2, 144)
    weights[:, :, 0:2] = 0
    others = weights.copy()
    others[:, :, 16:] = generator.integers(0, 256, (rows, 2, 128), dtype=np.uint8)
    first = qmatmul.qmatmul(weights.reshape(rows, -1), GGMLType.Q4_K, rows, cols, x)
    second = qmatmul.qmatmul(others.reshape(rows, -1), GGMLType.Q4_K, rows, cols, x)
    np.testing.assert_array_equal(first, second)
    q, scales = qmatmul.quantize_activations(x)
    sums = qmatmul.activation_sums(q).reshape(3, -1, 2).sum(axis=2)
    mins = np.array(
        [
            [
                reference.unpack_scale_min(j, block[4:16].tolist())[1]
                for block in row
                for j in range(8)
            ]
            for row in weights
        ]
    )
    expected = -((scales.astype(np.float64) * sums) @ mins.T)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-3)
    assert np.abs(expected).min() > 0
    compared(first.size, what="products")


def decoders(kind: str) -> Mapping[str, Callable[[Blocks], NDArray[np.float64]]]:
    """Three ways from blocks to weights; the product with the unit vectors is one of them."""
    dtype = GGMLType[kind]
    size = block_size(dtype)
    unit = np.eye(max(size, 32), dtype=np.float32)[:, :size] * 127  # scale 1: no rounding

    def from_product(blocks: Blocks) -> NDArray[np.float64]:
        product = qmatmul.qmatmul(blocks, dtype, len(blocks), size, unit)
        return product.T.astype(np.float64) / 127

    return {
        "dequantize": lambda blocks: dequantize(blocks, dtype, (len(blocks), size)).astype(
            np.float64
        ),
        "reference": lambda blocks: np.array(
            [PARSERS[dtype](block.tolist()).weights() for block in blocks]
        ),
        "qmatmul": from_product,
    }


def owners(kind: str) -> list[set[int]]:
    """For every bit of a super-block, but those of d and dmin, the weights that depend on it."""
    bits: list[set[int]] = [set() for _ in range(8 * type_size(GGMLType[kind]))]
    if kind == "Q4_K":
        for byte in range(128):
            for bit in range(8):
                bits[8 * (16 + byte) + bit] = {64 * (byte // 32) + byte % 32 + 32 * (bit // 4)}
        for lane in range(4):
            low, high = 32 * lane, 32 * (lane + 4)
            for bit in range(8):
                first = high if bit >= 6 else low
                for byte in (lane, lane + 4):
                    bits[8 * (4 + byte) + bit] = set(range(first, first + 32))
                bits[8 * (12 + lane) + bit] = set(range(high, high + 32))
        return bits
    for byte in range(128):
        half, column = divmod(byte, 64)
        for bit in range(8):
            bits[8 * byte + bit] = {128 * half + column + 64 * (bit // 4)}
    for byte in range(64):
        half, column = divmod(byte, 32)
        for bit in range(8):
            bits[8 * (128 + byte) + bit] = {128 * half + column + 32 * (bit // 2)}
    for byte in range(16):
        for bit in range(8):
            bits[8 * (192 + byte) + bit] = set(range(16 * byte, 16 * byte + 16))
    return bits


def every_bit_has_its_weights(kind: str, compared: Compared) -> None:
    """Flip one bit at a time and see which weights change, with every decoder."""
    base = blocks_of(kind, 1, 0)
    # No level and no scale is zero, so that a change of either shows.
    if kind == "Q4_K":
        base[:, 4:16], base[:, 16:] = reference.pack_scale_min([21] * 8, [42] * 8), 0x55
    else:
        base[:, :128], base[:, 128:192], base[:, 192:208] = 0x66, 0xAA, np.arange(3, 35, 2)
    expected = owners(kind)
    tested = [bit for bit, weights in enumerate(expected) if weights]
    flipped = base.repeat(len(tested), axis=0)
    for row, bit in enumerate(tested):
        flipped[row, bit // 8] ^= 1 << (bit % 8)
    for name, decode in decoders(kind).items():
        changed = decode(flipped) != decode(base)
        for row, bit in enumerate(tested):
            seen = set(np.flatnonzero(changed[row]).tolist())
            assert seen == expected[bit], f"{name}: bit {bit % 8} of byte {bit // 8} moves {seen}"
        compared(len(tested), what="bits")


def vectorized_equals_scalar(kind: str, compared: Compared) -> None:
    """Scales of one, small integers: float32 sums are exact, so nothing may differ at all."""
    dtype = GGMLType[kind]
    size = block_size(dtype)
    rows, per_row, tokens = 6, max(1, 256 // size), 3
    weights = blocks_of(kind, rows * per_row, 2).reshape(rows, -1)
    if kind == "Q6_K":
        weights.reshape(-1, type_size(dtype))[:, 192:208] %= 5
    x = np.random.default_rng(3).integers(-127, 128, (tokens, size * per_row)).astype(np.float32)
    x[:, ::32] = 127  # fixes the scale of every 32 activations to one
    expected = scalar_qmatmul(weights.reshape(-1).tolist(), dtype, rows, size * per_row, x.tolist())
    actual = qmatmul.qmatmul(weights, dtype, rows, size * per_row, x)
    assert np.abs(expected).max() < 2**24
    np.testing.assert_array_equal(actual, np.array(expected))
    compared(actual.size, what="products")


def verify_superblock_sizes(k: Draws) -> None:
    """For up to one row and one super-block, all sizes follow from 144 and 210."""
    rows = k.int("rows", 0, k.bound)
    count = k.int("superblocks", 0, k.bound)
    missing = k.int("missing", 0, 255)
    k.assume(count > 0 or missing == 0)
    cols = 256 * count - missing
    for kind, size in (("Q4_K", 144), ("Q5_K", 176), ("Q6_K", 210)):
        assert reference.superblock_bytes(rows, cols, kind) == rows * count * size
    assert reference.q4k_bytes(rows, cols) == 144 * rows * count
    assert reference.q6k_bytes(rows, cols) == 210 * rows * count
    k.cover("a block", rows * count == 1)


def verify_scales_survive_packing(k: Draws) -> None:
    """All pairs of one sub-block, its neighbours all clear or all set."""
    j = k.int("j", 0, 7)
    scale, minimum = k.int("scale", 0, k.bound), k.int("min", 0, k.bound)
    around = k.bound if k.bool("neighbours") else 0
    scales, mins = [around] * 8, [around] * 8
    scales[j], mins[j] = scale, minimum
    packed = reference.pack_scale_min(scales, mins)
    assert all(0 <= byte <= 255 for byte in packed)
    for i in range(8):
        assert reference.unpack_scale_min(i, packed) == (scales[i], mins[i])


def verify_nibble_order(k: Draws) -> None:
    """Position and weight determine each other, and neighbours lie in neighbouring bytes."""
    i = k.int("i", 0, k.bound)
    byte, shift = reference.nibble_position(i)
    assert 0 <= byte < 128
    assert shift in (0, 4)
    assert 64 * (byte // 32) + 32 * (shift // 4) + byte % 32 == i
