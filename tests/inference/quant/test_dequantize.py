from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import quant
from inference.errors import UnsupportedTypeError
from inference.kernels.qmatmul.reference import PARSERS
from inference.quant import DECODERS, GGMLType, codebooks, dequantize, i_quants, k_quants
from inference.quant.types import AprType, block_size, padded_row_bytes, row_bytes, type_size

GOLDEN = Path(__file__).parents[2] / "golden" / "quant" / "dequantize.npz"
OURS = {GGMLType.Q8_K, GGMLType.Q1_0, AprType.APR_Q4, AprType.APR_Q8}
PLAIN = {
    GGMLType.F64: "<f8",
    GGMLType.I8: "<i1",
    GGMLType.I16: "<i2",
    GGMLType.I32: "<i4",
    GGMLType.I64: "<i8",
}
"""Types that the gguf package does not expand."""
TYPES = [
    pytest.param(dtype, id=dtype.name) for dtype in DECODERS if dtype not in OURS | PLAIN.keys()
]
BLOCK_TYPES = [pytest.param(dtype, id=dtype.name) for dtype in PARSERS]


def random_blocks(dtype: GGMLType, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random blocks whose float16 fields are finite."""
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, type_size(dtype)), dtype=np.uint8)
    for at in {
        "Q4_K": (1, 3),
        "Q5_K": (1, 3),
        "Q6_K": (209,),
        "Q2_K": (81, 83),
        "Q3_K": (109,),
        "IQ1_M": (55,),
        "TQ1_0": (53,),
        "TQ2_0": (65,),
        "MXFP4": (0,),
    }.get(dtype.name, (1, 3) if dtype.name.endswith("_1") else (1,)):
        raw[..., at] &= 0xBF
    return raw


def assert_same_bits(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert actual.size > 0
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("dtype", TYPES)
def test_recorded_blocks_are_bit_equal(dtype: GGMLType) -> None:
    with np.load(GOLDEN) as golden:
        raw, expected = golden[f"{dtype.name}.raw"], golden[f"{dtype.name}.f32"]
    assert_same_bits(dequantize(raw, dtype, expected.shape), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_matrices_are_bit_equal_to_the_gguf_package(
    dtype: GGMLType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quant, "_CHUNK", 1024)
    cols = max(64, 2 * block_size(dtype))
    raw = random_blocks(dtype, 37, cols // block_size(dtype)).reshape(37, -1)
    expected = gguf.quants.dequantize(raw, dtype).reshape(37, cols)
    keep = ~np.isnan(expected)  # F16, BF16 and F32 rows may hold NaN of any payload
    actual = dequantize(raw, dtype, (37, cols))
    assert np.isnan(actual[~keep]).all()
    assert_same_bits(actual[keep], np.ascontiguousarray(expected[keep]))


@pytest.mark.parametrize("dtype", BLOCK_TYPES)
def test_scalar_reference_agrees(dtype: GGMLType) -> None:
    blocks = random_blocks(dtype, 20, seed=1)
    expected = gguf.quants.dequantize(blocks, dtype)
    actual = np.array([PARSERS[dtype](block.tolist()).weights() for block in blocks])
    np.testing.assert_array_equal(actual.astype(np.float32), expected)


def test_a_flat_map_of_a_file_will_do() -> None:
    raw = random_blocks(GGMLType.Q4_K, 6)
    flat = raw.reshape(-1)
    flat.flags.writeable = False
    assert_same_bits(
        dequantize(flat, GGMLType.Q4_K, (3, 512)),
        gguf.quants.dequantize(raw, GGMLType.Q4_K).reshape(3, 512),
    )


def test_padding_of_the_last_block_is_dropped() -> None:
    raw = random_blocks(GGMLType.Q4_K, 2, 2)
    whole = gguf.quants.dequantize(raw.reshape(2, -1), GGMLType.Q4_K)
    np.testing.assert_array_equal(
        dequantize(raw.reshape(2, -1), GGMLType.Q4_K, (2, 300)), whole[:, :300]
    )


def test_empty_and_scalar_shapes() -> None:
    nothing = np.empty(0, dtype=np.uint8)
    assert dequantize(nothing, GGMLType.Q8_0, (0, 32)).shape == (0, 32)
    one = np.frombuffer(np.float32(1.5).tobytes(), dtype=np.uint8)
    assert dequantize(one, GGMLType.F32, ()) == np.float32(1.5)


@pytest.mark.parametrize("size", [143, 145, 0])
def test_bytes_that_do_not_fit_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 256\) in Q4_K takes 144 bytes"):
        dequantize(np.zeros(size, dtype=np.uint8), GGMLType.Q4_K, (1, 256))


def test_every_type_of_the_enumeration_is_expanded_but_one() -> None:
    assert set(GGMLType) - set(DECODERS) == {GGMLType.Q8_1}  # of activations, never of a file


def test_types_without_a_decoder_are_refused() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"cannot dequantize .*Q8_1.*supported: .*Q4_K"):
        dequantize(np.zeros(320, dtype=np.uint8), GGMLType.Q8_1, (1, 256))


def test_recorded_activations_are_bit_equal() -> None:
    with np.load(GOLDEN) as golden:
        raw, expected = golden["Q8_K.raw"], golden["Q8_K.f32"]
    assert_same_bits(dequantize(raw, GGMLType.Q8_K, expected.shape), expected)


@pytest.mark.parametrize("dtype", PLAIN, ids=lambda dtype: dtype.name)
def test_plain_numbers_are_rounded_to_float32(dtype: GGMLType) -> None:
    values = np.array([[-3, 0, 1, 100], [7, 127, -128, 5]], PLAIN[dtype])
    expected = values.astype(np.float32)
    assert_same_bits(dequantize(values.view(np.uint8), dtype, (2, 4)), expected)


def test_float64_beyond_float32_is_infinite() -> None:
    raw = np.array([[1e300, -1e300]]).view(np.uint8)
    np.testing.assert_array_equal(dequantize(raw, GGMLType.F64, (1, 2)), [[np.inf, -np.inf]])


def test_single_bits_choose_the_sign() -> None:
    block = np.zeros((1, 18), np.uint8)
    block[0, :2] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)
    block[0, 2], block[0, 17] = 0b101, 0x80
    values = dequantize(block, GGMLType.Q1_0, (1, 128))
    assert set(np.flatnonzero(values[0] > 0)) == {0, 2, 127}
    assert set(np.abs(values[0])) == {0.5}


def test_apr_types_have_neighbours_in_a_byte_and_one_scale_for_all() -> None:
    block = np.zeros((1, 18), np.uint8)
    block[0, :2] = np.frombuffer(np.float16(2).tobytes(), np.uint8)
    block[0, 2] = 0xF1
    assert dequantize(block, AprType.APR_Q4, (1, 32))[0, :3].tolist() == [-14.0, 14.0, -16.0]
    raw = np.concatenate([np.array([0.5], "<f4").view(np.uint8), np.array([254, 3], np.uint8)])
    assert dequantize(raw, AprType.APR_Q8, (2, 1)).tolist() == [[-1.0], [1.5]]


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf, 1e-7])
def test_scales_that_are_no_normal_numbers_count_as_zero(scale: float) -> None:
    with np.errstate(over="ignore"):
        half = np.array([scale], np.float16).view(np.uint8)
    block = np.concatenate([half, np.full(16, 0x35, np.uint8)])
    assert not dequantize(block, AprType.APR_Q4, (1, 32)).any()
    stored = np.array([scale * 1e-34], np.float32).view(np.uint8)
    raw = np.concatenate([stored, np.full(4, 9, np.uint8)])
    assert not dequantize(raw, AprType.APR_Q8, (1, 4)).any()


def test_row_sizes() -> None:
    assert row_bytes(GGMLType.Q6_K, 512) == 420
    assert padded_row_bytes(GGMLType.Q6_K, 257) == 420
    with pytest.raises(ValueError, match="blocks of 256; a row has 257"):
        row_bytes(GGMLType.Q6_K, 257)


class TestPlantedDefects:
    """The comparison with the gguf package notices what once went wrong in the field."""

    @pytest.mark.parametrize(
        ("dtype", "table", "planted"),
        [
            (GGMLType.IQ2_XXS, "even_signs", lambda: np.ones((128, 8), np.float32)),
            (GGMLType.IQ3_S, "signs_of_byte", lambda: codebooks.signs_of_byte()[:, ::-1]),
            (GGMLType.IQ1_S, "grid", lambda dtype: codebooks.grid(dtype)[::-1]),
            (GGMLType.IQ4_XS, "IQ4_LEVELS", codebooks.E2M1_LEVELS),
        ],
    )
    def test_codebooks(
        self, dtype: GGMLType, table: str, planted: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not self.noticed(dtype)
        monkeypatch.setattr(i_quants, table, planted)
        assert self.noticed(dtype)

    def noticed(self, dtype: GGMLType) -> bool:
        raw = random_blocks(dtype, 4)
        expected = gguf.quants.dequantize(raw, dtype)
        try:
            assert_same_bits(dequantize(raw, dtype, expected.shape), expected)
        except AssertionError:
            return True
        return False

    def test_nothing_planted(self) -> None:
        assert not self.noticed(GGMLType.Q4_K)

    def test_adjacent_nibbles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def adjacent(packed: NDArray[np.uint8], planes: int, width: int) -> NDArray[np.uint8]:
            return np.stack([packed & 15, packed >> 4], axis=2)

        monkeypatch.setattr(k_quants, "_bit_planes", adjacent)
        assert self.noticed(GGMLType.Q4_K)

    @pytest.mark.parametrize("dtype", [GGMLType.Q4_K, GGMLType.Q5_K])
    def test_scales_without_high_bits(
        self, dtype: GGMLType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def low_bits_only(packed: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            scales, mins = packed[:, :4] & 63, packed[:, 4:8] & 63
            return (
                np.concatenate([scales, packed[:, 4:8] & 63], axis=1),
                np.concatenate([mins, packed[:, 8:] & 63], axis=1),
            )

        monkeypatch.setattr(k_quants, "scales_and_mins", low_bits_only)
        assert self.noticed(dtype)
