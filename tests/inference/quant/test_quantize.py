from __future__ import annotations

from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.errors import UnsupportedTypeError
from inference.quant import ENCODERS, GGMLType, dequantize, quantize
from inference.quant.types import block_size, padded_row_bytes

GOLDEN = Path(__file__).parents[2] / "golden" / "quant" / "quantize.npz"
EXACT = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
SEARCHED = ["Q4_K", "Q5_K", "Q6_K"]
BLOCK_TYPES = [dtype for dtype in ENCODERS if block_size(dtype) > 1]

# Half a step of a uniform quantizer with so many levels over [-1, 1], with room for the rounding
# of scales to float16 (and, in Q4_K, to 6 bits).
WORST_ERROR = {"Q4_0": 0.13, "Q4_1": 0.07, "Q5_0": 0.07, "Q5_1": 0.034, "Q8_0": 0.005}


def rmse(x: NDArray[np.float32], dtype: GGMLType) -> NDArray[np.float64]:
    back = dequantize(quantize(x, dtype), dtype, x.shape)
    return np.sqrt(np.mean((back.astype(np.float64) - x) ** 2, axis=-1))


@pytest.mark.parametrize("name", EXACT)
def test_recorded_bytes_are_equal(name: str) -> None:
    with np.load(GOLDEN) as golden:
        x, expected = golden[f"{name}.input"], golden[f"{name}.bytes"]
    np.testing.assert_array_equal(quantize(x, GGMLType[name]), expected)


@pytest.mark.parametrize("name", SEARCHED)
def test_error_is_near_that_of_ggml(name: str) -> None:
    with np.load(GOLDEN) as golden:
        x, theirs = golden[f"{name}.input"], golden[f"{name}.ggml_rmse"]
    ours = rmse(x, GGMLType[name])
    np.testing.assert_array_less(ours, 1.07 * theirs + 5e-5)
    assert np.median(ours[theirs > 0] / theirs[theirs > 0]) < 1.005


@pytest.mark.parametrize("dtype", BLOCK_TYPES, ids=lambda dtype: dtype.name)
@settings(max_examples=40)
@given(data=st.data())
def test_error_is_bounded_by_the_step(dtype: GGMLType, data: st.DataObject) -> None:
    largest = data.draw(st.sampled_from([0.1, 1.0, 3e4]))
    x = data.draw(
        hnp.arrays(np.float32, (1, 256), elements=st.floats(-1, 1, width=32), fill=st.just(0.25))
    ) * np.float32(largest)
    error = np.abs(dequantize(quantize(x, dtype), dtype, x.shape) - x).max()
    assert error <= WORST_ERROR.get(dtype.name, 0.15) * max(np.abs(x).max(), 1e-6)


@pytest.mark.parametrize("dtype", list(ENCODERS), ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-38, 1e-30, 1e-16, 1e-9, 6e4])
def test_very_small_and_large_weights_stay_finite(dtype: GGMLType, scale: float) -> None:
    x = (np.random.default_rng(0).uniform(-1, 1, (2, 256)) * scale).astype(np.float32)
    back = dequantize(quantize(x, dtype), dtype, x.shape)
    assert np.isfinite(back).all()
    assert np.abs(back).max() <= 1.2 * np.abs(x).max()


@pytest.mark.parametrize("dtype", list(ENCODERS), ids=lambda dtype: dtype.name)
def test_zeros_stay_zeros(dtype: GGMLType) -> None:
    x = np.zeros((2, 256), dtype=np.float32)
    np.testing.assert_array_equal(dequantize(quantize(x, dtype), dtype, x.shape), x)


@pytest.mark.parametrize("dtype", BLOCK_TYPES, ids=lambda dtype: dtype.name)
def test_rows_are_padded_one_by_one(dtype: GGMLType) -> None:
    x = np.random.default_rng(0).normal(size=(3, 270)).astype(np.float32)
    packed = quantize(x, dtype)
    assert packed.shape == (3, padded_row_bytes(dtype, 270))
    np.testing.assert_array_equal(packed[1], quantize(x[1], dtype))
    assert np.abs(dequantize(packed, dtype, x.shape) - x).max() < 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e6])
def test_what_scales_cannot_express_is_refused(bad: float) -> None:
    x = np.ones((1, 256), dtype=np.float32)
    x[0, 7] = bad
    with pytest.raises(ValueError, match="Q4_K cannot hold NaN or values beyond"):
        quantize(x, GGMLType.Q4_K)


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a float32 array with an axis, got float64"):
        quantize(np.zeros((1, 32)), GGMLType.Q8_0)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedTypeError, match=r"cannot quantize .*Q3_K"):
        quantize(np.zeros((1, 256), dtype=np.float32), GGMLType.Q3_K)


def test_not_a_number_survives_in_bfloat16() -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 3.4e38]], dtype=np.float32)
    back = dequantize(quantize(x, GGMLType.BF16), GGMLType.BF16, x.shape)
    np.testing.assert_array_equal(back, [[np.nan, np.inf, -np.inf, np.inf]])
