from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.geglu import cpu, reference


def oracle(x):
    """The tanh form in float64, below zero by expm1 so that nothing cancels."""
    x = np.asarray(x, np.float64)
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return x * np.exp(-np.logaddexp(0, -2 * u))


def test_hand_worked_values():
    # tanh(√(2/π) · 1.044715) = 0.682384: gelu(1) = 0.841192, gelu(−1) = 0.841192 − 1
    gate, up = [1.0, -1.0, 0.0], [2.0, 4.0, 5.0]
    expected = [1.682384, -0.635232, 0.0]
    assert reference.geglu(gate, up) == pytest.approx(expected, abs=2e-6)
    y = cpu.geglu(np.array(gate, np.float32), np.array(up, np.float32))
    np.testing.assert_allclose(y, expected, atol=2e-6)
    np.testing.assert_allclose(0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715)), 0.841192)


@pytest.mark.parametrize("shape", [(1,), (1, 2048), (7, 33), (2, 3, 5)])
def test_within_eight_ulp_of_float64(shape, ulp_error):
    rng = np.random.default_rng(0)
    gate = rng.uniform(-9.5, 20, shape).astype(np.float32)
    up = rng.uniform(0.5, 2, shape).astype(np.float32)
    exact = oracle(gate)
    assert ulp_error(cpu.gelu(gate), exact) < 8
    assert ulp_error(cpu.geglu(gate, up), exact * up) < 8
    np.testing.assert_allclose(reference.gelu(gate), exact, rtol=1e-12)
    np.testing.assert_allclose(reference.geglu(gate, up), exact * up, rtol=1e-12)


def test_the_ends():
    x = np.array([-np.inf, -3e38, -12.0, -0.0, 0.0, 3e38, np.inf, np.nan], np.float32)
    y = cpu.gelu(x)
    np.testing.assert_array_equal(y[:5], 0.0)
    np.testing.assert_array_equal(y[5:7], x[5:7])
    assert np.isnan(y[7])


def test_the_scalars_tail_has_no_gap():
    x = np.linspace(-12.5, -9, 2001).astype(np.float32)
    np.testing.assert_allclose(cpu.gelu(x), oracle(x), rtol=1e-6, atol=3e-45)


def test_an_empty_layer_stays_empty():
    empty = np.zeros((0, 16), np.float32)
    assert cpu.geglu(empty, empty).shape == (0, 16)
    assert reference.geglu([], []) == []


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"geglu: gate has shape \(2,\), but up has \(3,\)"):
        cpu.geglu(np.zeros(2, np.float32), np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="geglu: up is int64"):
        cpu.geglu(np.zeros(2, np.float32), np.zeros(2, np.int64))
    with pytest.raises(TypeError, match="gelu: x is float64"):
        cpu.gelu(np.zeros(2))
