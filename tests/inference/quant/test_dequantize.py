from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import quant
from inference.errors import UnsupportedTypeError
from inference.kernels.qmatmul.reference import PARSERS
from inference.quant import DECODERS, GGMLType, dequantize, k_quants
from inference.quant.types import block_size, padded_row_bytes, row_bytes, type_size

GOLDEN = Path(__file__).parents[2] / "golden" / "quant" / "dequantize.npz"
TYPES = [pytest.param(dtype, id=dtype.name) for dtype in DECODERS]
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


def test_types_without_a_decoder_are_refused() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"cannot dequantize .*IQ1_S.*supported: .*Q4_K"):
        dequantize(np.zeros(50, dtype=np.uint8), GGMLType.IQ1_S, (1, 256))


def test_row_sizes() -> None:
    assert row_bytes(GGMLType.Q6_K, 512) == 420
    assert padded_row_bytes(GGMLType.Q6_K, 257) == 420
    with pytest.raises(ValueError, match="blocks of 256; a row has 257"):
        row_bytes(GGMLType.Q6_K, 257)


class TestPlantedDefects:
    """The comparison with the gguf package notices what once went wrong in the field."""

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
