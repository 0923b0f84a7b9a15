from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inference.kernels.matmul import cpu, reference


def test_hand_worked_value():
    a, b = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]
    product = [[27.0, 30.0, 33.0], [61.0, 68.0, 75.0], [95.0, 106.0, 117.0]]
    assert reference.matmul(a, b) == product
    np.testing.assert_array_equal(
        cpu.matmul(np.array(a, np.float32), np.array(b, np.float32)), product
    )


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 896, 5), (3, 5, 7), (8, 64, 3)])
def test_error_is_bounded_by_the_sum_of_magnitudes(m, k, n):
    rng = np.random.default_rng(k)
    a = rng.normal(size=(m, k)).astype(np.float32)
    b = rng.normal(size=(k, n)).astype(np.float32)
    exact = [
        [
            float(sum(Fraction(float(a[i, t])) * Fraction(float(b[t, j])) for t in range(k)))
            for j in range(n)
        ]
        for i in range(m)
    ]
    # Any order of summation stays within k·u·Σ|a·b|, u = 2^-24 (Higham, eq. 3.5).
    bound = 1.01 * k * 2.0**-24 * (np.abs(a).astype(float) @ np.abs(b).astype(float))
    assert (np.abs(cpu.matmul(a, b) - exact) <= bound).all()
    np.testing.assert_allclose(reference.matmul(a, b), exact, rtol=1e-9, atol=1e-12)


def test_transposed_views():
    a = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    np.testing.assert_allclose(cpu.matmul(a, a.T), cpu.matmul(a, a.T.copy()), rtol=1e-6)


def test_an_empty_inner_axis_sums_to_zero():
    product = cpu.matmul(np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(product, np.zeros((2, 3)))


def test_bad_arguments_are_named():
    a = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"matmul: a.shape\[1\] is 3, but b.shape\[0\] is 2"):
        cpu.matmul(a, a)
    with pytest.raises(ValueError, match=r"matmul: b has shape \(3,\), but 2 axes are needed"):
        cpu.matmul(a, a[0])
    with pytest.raises(TypeError, match="matmul: a is float64"):
        cpu.matmul(a.astype(np.float64), a.T)


def procedures():
    path = Path(__file__).parents[3] / "contracts" / "kernels" / "matmul_kernel_v1.py"
    spec = importlib.util.spec_from_file_location("matmul_procedures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "defect",
    [
        lambda real: lambda *arguments: real(*arguments) * np.float32(1.001),
        lambda real: lambda *arguments: real(*arguments) + np.float32(0.01),
        lambda real: lambda raw, dtype, rows, cols, x: real(raw, dtype, rows, cols, x[:, ::-1]),
    ],
    ids=["wrong-scale", "offset", "reversed"],
)
def test_the_bound_of_the_quantized_dot_product_notices_a_defect(defect, monkeypatch):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-10, 10, 64).astype(np.float32) for _ in range(2))
    module = procedures()
    counted = []
    module.quantized_dot_within_rounding(a, b, lambda n, what: counted.append(n))
    assert counted == [2]
    monkeypatch.setattr(module, "qmatmul", defect(module.qmatmul))
    with pytest.raises(AssertionError):
        module.quantized_dot_within_rounding(a, b, lambda n, what: None)
