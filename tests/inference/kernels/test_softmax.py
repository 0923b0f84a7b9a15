from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.softmax import cpu, reference


def oracle(x):
    x = np.asarray(x, np.float64)
    return np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


def test_hand_worked_value():
    x = [math.log(1), math.log(2), math.log(5)]
    assert reference.softmax(x) == pytest.approx([1 / 8, 2 / 8, 5 / 8], rel=1e-15)
    np.testing.assert_allclose(
        cpu.softmax(np.array(x, np.float32)), [1 / 8, 2 / 8, 5 / 8], rtol=3e-7
    )


@pytest.mark.parametrize("spread", [1, 30, 1000])
@pytest.mark.parametrize("n", [1, 2, 7, 64, 129, 4096])
def test_within_eight_ulp_of_float64_at_any_distance_from_the_maximum(spread, n, ulp_error):
    x = np.random.default_rng(n).uniform(-spread, spread, (20, n)).astype(np.float32)
    assert ulp_error(cpu.softmax(x), oracle(x)) < 8
    np.testing.assert_allclose(reference.softmax(x), oracle(x), rtol=1e-12, atol=1e-300)


def test_subnormal_weights_keep_their_digits(ulp_error):
    x = np.array([0.0, -88.0, -95.5, -103.0], np.float32)
    assert cpu.softmax(x)[3] > 0
    assert ulp_error(cpu.softmax(x), oracle(x)) < 2


def test_leading_axes_are_independent_rows():
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    y = cpu.softmax(x)
    assert y.shape == (2, 3, 5)
    np.testing.assert_array_equal(y[1, 2], cpu.softmax(x[1, 2]))
    np.testing.assert_allclose(reference.softmax(x), y, rtol=1e-6)


def test_strided_input_is_read_right_and_left_alone():
    x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    before = x.copy()
    np.testing.assert_array_equal(cpu.softmax(x[::2, ::2]), cpu.softmax(x[::2, ::2].copy()))
    np.testing.assert_array_equal(x, before)


def test_masked_entries_get_weight_zero():
    np.testing.assert_array_equal(
        cpu.softmax(np.array([-np.inf, 1, 1], np.float32)), np.array([0, 0.5, 0.5], np.float32)
    )


@pytest.mark.parametrize(
    "row", [[1, np.nan, 2], [1, -np.nan, 2], [np.inf, 0], [-np.inf, -np.inf], [np.nan]]
)
def test_a_row_without_a_softmax_is_nan(row):
    assert np.isnan(cpu.softmax(np.array(row, np.float32))).all()


def test_the_whole_range_of_float32_does_not_overflow():
    limit = np.finfo(np.float32).max
    np.testing.assert_array_equal(cpu.softmax(np.array([limit, -limit], np.float32)), [1, 0])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0], TypeError, "softmax: x is a list, not a NumPy array"),
        (np.zeros(3), TypeError, "softmax: x is float64, but the kernel computes in float32"),
        (np.zeros((2, 0), np.float32), ValueError, r"shape \(2, 0\); its last axis is empty"),
        (np.float32(1), ValueError, r"softmax: x has shape \(\), but at least 1 axes"),
    ],
)
def test_bad_arguments_are_named(x, error, message):
    with pytest.raises(error, match=message):
        cpu.softmax(x)
