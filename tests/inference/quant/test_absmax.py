from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.quant import dequantize, quantize
from inference.quant.absmax import dequantize_int, quantize_int
from inference.quant.types import AprType

WEIGHTS = hnp.arrays(np.float32, (3, 64), elements=st.floats(-1e4, 1e4, width=32))


@given(x=WEIGHTS, bits=st.sampled_from([4, 8]), group=st.sampled_from([None, 1, 16, 32, 64]))
def test_the_error_is_half_a_step_of_the_group(
    x: NDArray[np.float32], bits: int, group: int | None
) -> None:
    levels, scales = quantize_int(x, bits, group=group)
    top = 2 ** (bits - 1) - 1
    assert levels.shape == x.shape
    assert scales.shape == (3, 64 // (group or 64))
    assert np.abs(levels.astype(int)).max() <= top
    back = dequantize_int(levels, scales)
    step = np.repeat(scales, group or 64, axis=1).astype(np.float64)
    assert (np.abs(back.astype(np.float64) - x) <= 0.5001 * step).all()
    largest = np.abs(x).reshape(*scales.shape, -1).max(axis=2)
    normal = largest / top >= np.finfo(np.float32).tiny
    np.testing.assert_allclose((scales * top)[normal], largest[normal], rtol=1e-6)


def test_channels_do_not_disturb_each_other() -> None:
    x = np.ones((2, 32), np.float32)
    x[1] *= 1000
    levels, scales = quantize_int(x, 8)
    np.testing.assert_array_equal(levels, np.full((2, 32), 127))
    np.testing.assert_allclose(scales[:, 0], [1 / 127, 1000 / 127], rtol=1e-6)


@pytest.mark.parametrize("dtype", list(AprType), ids=lambda dtype: dtype.name)
@given(x=WEIGHTS)
def test_apr_types_come_back_within_half_a_step(dtype: AprType, x: NDArray[np.float32]) -> None:
    raw = quantize(x, dtype)
    back = dequantize(raw, dtype, x.shape)
    if dtype == AprType.APR_Q8:
        assert raw.size == 4 + x.size
        assert (np.abs(back - x) <= 0.501 * np.abs(x).max() / 127 + 1e-37).all()
    else:
        largest = np.abs(x).reshape(-1, 32).max(axis=1, keepdims=True)
        error = np.abs(back - x).reshape(-1, 32)
        # Half a step, and what float16 makes of the scale; below its normal range all is lost.
        assert (error <= 0.51 * largest / 7 + 7 * 7e-5).all()


@pytest.mark.parametrize("dtype", list(AprType), ids=lambda dtype: dtype.name)
def test_zeros_have_scale_one(dtype: AprType) -> None:
    raw = quantize(np.zeros((1, 32), np.float32), dtype)
    kind = np.float16 if dtype == AprType.APR_Q4 else np.float32
    assert raw.reshape(-1)[: kind(0).nbytes].view(kind)[0] == 1
    assert not dequantize(raw, dtype, (1, 32)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    x = np.ones((1, 32), np.float32)
    x[0, 3] = bad
    for dtype in AprType:
        with pytest.raises(ValueError, match="cannot hold NaN"):
            quantize(x, dtype)


def test_wrong_arguments_are_refused() -> None:
    x = np.ones((2, 6), np.float32)
    with pytest.raises(ValueError, match="4 and 8 bits are supported, not 3"):
        quantize_int(x, 3)
    with pytest.raises(ValueError, match="whole groups of 4"):
        quantize_int(x, 8, group=4)
    with pytest.raises(ValueError, match="float64"):
        quantize_int(x.astype(np.float64), 8)  # type: ignore[arg-type]
