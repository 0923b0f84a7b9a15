from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.silu import cpu, reference


def oracle(x):
    """silu(x) = x/2 · (1 + tanh(x/2)) for x ≥ 0; below, x times sigmoid in logarithms."""
    x = np.asarray(x, np.float64)
    return np.where(
        x >= 0,
        x / 2 * (1 + np.tanh(x / 2)),
        x * np.exp(np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))),
    )


def test_hand_worked_values():
    # sigmoid(ln 3) = 3/4 and sigmoid(−ln 3) = 1/4
    log3 = math.log(3)
    assert reference.silu([0.0, log3, -log3]) == pytest.approx(
        [0.0, log3 * 0.75, -log3 * 0.25], rel=1e-15
    )
    y = cpu.silu(np.array([0.0, log3, -log3], np.float32))
    np.testing.assert_allclose(y, [0.0, log3 * 0.75, -log3 * 0.25], rtol=3e-7)


def test_within_eight_ulp_of_float64_down_to_subnormal_results(ulp_error):
    x = np.concatenate(
        [
            np.linspace(-1000, 1000, 400_001),
            np.linspace(-104, -86, 50_001),
            np.geomspace(1e-38, 1, 1001),
            -np.geomspace(1e-38, 1, 1001),
        ]
    ).astype(np.float32)
    assert ulp_error(cpu.silu(x), oracle(x)) < 8
    np.testing.assert_allclose(reference.silu(x[::100]), oracle(x[::100]), rtol=1e-12, atol=1e-300)


def test_minimum_is_where_calculus_puts_it():
    x = np.linspace(-1.4, -1.1, 100_001).astype(np.float32)
    y = cpu.silu(x)
    assert y.min() == pytest.approx(-0.2784645, abs=2e-7)
    assert x[y.argmin()] == pytest.approx(-1.2784645, abs=1e-3)


def test_limits_and_nan():
    x = np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, -0.0], np.float32)
    y = cpu.silu(x)
    np.testing.assert_array_equal(y, np.array([np.inf, 0, np.nan, 3e38, 0, 0], np.float32))
    assert np.signbit(y[[1, 4, 5]]).all()


def test_reference_does_not_overflow():
    assert reference.silu([-1000.0, 1000.0]) == [-0.0, 1000.0]


def test_any_shape_in_the_same_shape_out():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12
    assert cpu.silu(x).shape == (2, 3, 4)
    np.testing.assert_array_equal(cpu.silu(x.T), cpu.silu(x).T)
    np.testing.assert_allclose(reference.silu(x), cpu.silu(x), rtol=1e-6)
    assert cpu.silu(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert cpu.silu(np.float32(1)).shape == ()


def test_float64_is_refused_rather_than_rounded():
    with pytest.raises(TypeError, match=r"silu: x is float64.*x\.astype\(np\.float32\)"):
        cpu.silu(np.zeros(3))
