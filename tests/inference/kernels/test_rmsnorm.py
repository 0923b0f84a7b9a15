from __future__ import annotations

import numpy as np
import pytest

from inference.kernels.rmsnorm import cpu, reference


def oracle(x, weight, eps):
    x = np.asarray(x, np.longdouble)
    norm = np.sqrt(np.einsum("...i,...i->...", x, x) / x.shape[-1] + eps)
    return x * np.asarray(weight, np.longdouble) / norm[..., np.newaxis]


def test_hand_worked_value():
    # RMS of (3, 4) with eps = 0.5 is sqrt(12.5 + 0.5); chosen eps 3.5 gives exactly 4.
    x, weight = [3.0, 4.0], [1.0, 2.0]
    assert reference.rmsnorm(x, weight, 3.5) == [0.75, 2.0]
    y = cpu.rmsnorm(np.array(x, np.float32), np.array(weight, np.float32), 3.5)
    np.testing.assert_array_equal(y, np.array([0.75, 2.0], np.float32))


@pytest.mark.parametrize("n", [1, 3, 64, 896, 8192])
@pytest.mark.parametrize("size", [1e-20, 1e-3, 1.0, 1e30])
def test_rounded_once(n, size, ulp_error):
    rng = np.random.default_rng(n)
    x = (rng.normal(size=(4, n)) * size).astype(np.float32)
    weight = rng.normal(size=n).astype(np.float32)
    exact = oracle(x, weight, 1e-6).astype(np.float64)
    assert ulp_error(cpu.rmsnorm(x, weight, 1e-6), exact) <= 0.51
    np.testing.assert_allclose(reference.rmsnorm(x, weight, 1e-6), exact, rtol=1e-13)


def test_a_massive_channel_does_not_drown_the_others(ulp_error):
    x = np.full((1, 4096), 1e-3, np.float32)
    x[0, 17] = 3000.0
    weight = np.ones(4096, np.float32)
    exact = oracle(x, weight, 1e-6).astype(np.float64)
    assert ulp_error(cpu.rmsnorm(x, weight, 1e-6), exact) <= 0.51


def test_nan_and_infinity_are_not_hidden():
    weight = np.ones(3, np.float32)
    assert np.isnan(cpu.rmsnorm(np.array([1, np.nan, 2], np.float32), weight, 1e-6)).all()
    y = cpu.rmsnorm(np.array([1, np.inf, 2], np.float32), weight, 1e-6)
    assert np.isnan(y[1])
    assert y[0] == 0


def test_read_only_and_strided_arguments():
    x = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    weight = np.arange(20, dtype=np.float32)[::2]
    expected = cpu.rmsnorm(x[::2].copy(), weight.copy(), 1e-5)
    x.flags.writeable = False
    weight.flags.writeable = False
    np.testing.assert_array_equal(cpu.rmsnorm(x[::2], weight, 1e-5), expected)


@pytest.mark.parametrize(
    ("x", "weight", "eps", "message"),
    [
        (np.zeros((2, 128)), np.zeros(64), 1e-6, r"weight.shape\[0\] is 64, but x.shape\[-1\] is"),
        (np.zeros((2, 0)), np.zeros(0), 1e-6, "its last axis is empty"),
        (np.zeros(4), np.zeros((4, 1)), 1e-6, r"weight has shape \(4, 1\), but 1 axes"),
        (np.zeros(4), np.zeros(4), 0.0, "eps is 0.0, but must be positive"),
        (np.zeros(4), np.zeros(4), float("nan"), "eps is nan"),
    ],
)
def test_bad_arguments_are_named(x, weight, eps, message):
    with pytest.raises(ValueError, match=f"^rmsnorm: .*{message}"):
        cpu.rmsnorm(x.astype(np.float32), weight.astype(np.float32), eps)


def test_a_weight_of_the_wrong_type_is_named():
    with pytest.raises(TypeError, match="rmsnorm: weight is float16"):
        cpu.rmsnorm(np.zeros(4, np.float32), np.zeros(4, np.float16), 1e-6)
