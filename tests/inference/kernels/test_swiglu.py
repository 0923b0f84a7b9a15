from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.swiglu import cpu, reference


def test_hand_worked_value():
    gate, up = [math.log(3), -math.log(3), 0.0], [4.0, 8.0, 5.0]
    expected = [3 * math.log(3), -2 * math.log(3), 0.0]
    assert reference.swiglu(gate, up) == pytest.approx(expected, rel=1e-15)
    y = cpu.swiglu(np.array(gate, np.float32), np.array(up, np.float32))
    np.testing.assert_allclose(y, expected, rtol=4e-7)


@pytest.mark.parametrize("shape", [(1,), (1, 4864), (7, 33), (2, 3, 5)])
def test_within_eight_ulp_of_float64(shape, ulp_error):
    rng = np.random.default_rng(0)
    gate = rng.uniform(-60, 60, shape).astype(np.float32)
    up = rng.normal(size=shape).astype(np.float32)
    g = gate.astype(np.float64)
    exact = g * np.exp(-np.logaddexp(0, -g)) * up
    assert ulp_error(cpu.swiglu(gate, up), exact) < 8
    np.testing.assert_allclose(reference.swiglu(gate, up), exact, rtol=1e-12)


def test_an_empty_layer_stays_empty():
    empty = np.zeros((0, 16), np.float32)
    assert cpu.swiglu(empty, empty).shape == (0, 16)
    assert reference.swiglu([], []) == []


def test_a_closed_gate_silences_even_the_largest_up():
    y = cpu.swiglu(np.array([-200.0], np.float32), np.array([3e38], np.float32))
    assert y[0] == 0


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"swiglu: gate has shape \(2,\), but up has \(3,\)"):
        cpu.swiglu(np.zeros(2, np.float32), np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="swiglu: up is int64"):
        cpu.swiglu(np.zeros(2, np.float32), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="2 and 3 elements do not pair up"):
        reference.swiglu([1.0, 2.0], [1.0, 2.0, 3.0])
