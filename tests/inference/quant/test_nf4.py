from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.quant.nf4 import LEVELS, dequantize_nf4, nf4_codes, quantize_nf4

WIDEST_HALF_GAP = 0.1520  # between −1 and −0.696


def test_the_levels_are_those_of_the_paper() -> None:
    assert len(LEVELS) == 16
    assert (np.diff(LEVELS) > 0).all()
    assert (LEVELS[0], LEVELS[7], LEVELS[15]) == (-1, 0, 1)
    # Quantiles of a normal distribution: seven below zero, eight above, denser near it.
    assert (np.diff(LEVELS, n=2)[:5] < 0).all()
    assert (np.diff(LEVELS, n=2)[8:] > 0).all()


def test_every_level_is_its_own_code() -> None:
    assert nf4_codes(LEVELS).tolist() == list(range(16))


@given(hnp.arrays(np.float32, 64, elements=st.floats(-1, 1, width=32)))
def test_the_nearest_level_is_chosen(x: NDArray[np.float32]) -> None:
    distance = np.abs(LEVELS.astype(np.float64) - x[:, None].astype(np.float64))
    chosen = distance[np.arange(64), nf4_codes(x)]
    np.testing.assert_allclose(chosen, distance.min(axis=1), atol=1e-7)


@given(
    hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from([32, 64, 128]),
)
def test_the_error_is_half_a_gap_of_the_block(x: NDArray[np.float32], block: int) -> None:
    codes, absmax = quantize_nf4(x, block=block)
    back = dequantize_nf4(codes, absmax, x.shape, block=block)
    assert back.shape == x.shape
    bound = WIDEST_HALF_GAP * np.repeat(absmax, block)[: x.size]
    assert (np.abs(back.astype(np.float64) - x) <= bound + 1e-38).all()
    again = quantize_nf4(back, block=block)
    np.testing.assert_array_equal(dequantize_nf4(*again, x.shape, block=block), back)


def test_the_first_of_a_pair_is_in_the_high_half() -> None:
    absmax = np.array([2.0], np.float32)
    values = dequantize_nf4(np.array([0xAB], np.uint8), absmax, (2,))
    np.testing.assert_array_equal(values, 2 * LEVELS[[0xA, 0xB]])
    codes, scales = quantize_nf4(np.array([-3, 0, 3], np.float32))
    assert codes.tolist() == [0x07, 0xF0]
    assert scales.tolist() == [3.0]


def test_zeros_and_constants_are_exact() -> None:
    for value in (0.0, 0.25, -7.0):
        x = np.full((2, 64), value, np.float32)
        np.testing.assert_array_equal(dequantize_nf4(*quantize_nf4(x), x.shape), x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="cannot hold NaN"):
        quantize_nf4(np.array([1, bad], np.float32))


def test_codes_of_another_tensor_are_refused() -> None:
    codes, absmax = quantize_nf4(np.ones(64, np.float32))
    with pytest.raises(ValueError, match="66 weights take 33 bytes and 2 scales, got 32 and 1"):
        dequantize_nf4(codes, absmax, (66,))
    with pytest.raises(ValueError, match="needs float32 weights"):
        quantize_nf4(np.empty(0, np.float32))
