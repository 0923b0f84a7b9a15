from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from inference.kernels.cpu.exponential import LOWEST, exp_factors


@njit
def exponentials(x, low, out):  # pragma: no cover
    for i in range(x.size):
        a, b = exp_factors(x[i], low)
        out[i] = a * b


def compiled(x, low=0.0):
    out = np.empty_like(x)
    exponentials(x, np.float32(low), out)
    return out


def test_within_one_unit_in_the_last_place_down_to_subnormal_results(ulp_error):
    # Every 997th of the 1,120,927,745 floats in [-104, -0]; all of them were scanned once.
    first, last = (int(np.float32(x).view(np.uint32)) for x in (-0.0, -104.0))
    x = np.arange(first, last + 1, 997, dtype=np.uint32).view(np.float32)
    assert ulp_error(compiled(x), np.exp(x.astype(np.float64))) < 1


def test_known_values():
    x = np.array([0.0, -0.0, -np.log(2), -1.0, LOWEST], np.float32)
    np.testing.assert_allclose(compiled(x), [1, 1, 0.5, 0.36787945, 0], rtol=1.2e-7, atol=1e-45)
    assert compiled(x)[0] == 1
    assert compiled(x)[4] == 0


def test_the_low_part_of_the_argument_counts():
    x = np.array([-80.0], np.float32)
    exact = np.exp(-80.0 + 3e-6)
    assert compiled(x, 3e-6)[0] == pytest.approx(exact, rel=3e-7, abs=0)
    assert compiled(x)[0] != pytest.approx(exact, rel=1e-6, abs=0)


def test_nan_stays_nan():
    assert np.isnan(compiled(np.array([np.nan], np.float32))).all()


def test_interpreted_and_compiled_agree():
    for x in np.linspace(-104, 0, 201).astype(np.float32):
        a, b = exp_factors.py_func(x, np.float32(0))
        assert a * b == compiled(np.array([x]))[0]
