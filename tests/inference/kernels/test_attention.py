from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.attention import cpu, reference


def oracle(q, k, v, offset=None):
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    logits = np.einsum("id,jd->ij", q, k) / np.sqrt(q.shape[1])
    if offset is not None:
        logits[~np.tri(*logits.shape, offset, dtype=bool)] = -np.inf
    weights = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return np.einsum("ij,jc->ic", weights, v)


def draw(n, s, d, dv, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=size).astype(np.float32) for size in ((n, d), (s, d), (s, dv)))


def test_hand_worked_value():
    # Scores 2·ln 3/√4 = ln 3 and 0: weights 3/4 and 1/4.
    q = np.array([[2 * math.log(3), 0, 0, 0]], np.float32)
    k = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    v = np.array([[4.0, 0.0], [0.0, 8.0]], np.float32)
    np.testing.assert_allclose(cpu.attention(q, k, v), [[3.0, 2.0]], rtol=5e-7)
    np.testing.assert_allclose(reference.attention(q, k, v), [[3.0, 2.0]], rtol=1e-6)


@pytest.mark.parametrize("offset", [None, 0, 4])
@pytest.mark.parametrize(("n", "d", "dv"), [(1, 4, 4), (5, 64, 32), (9, 2, 7)])
def test_matches_float64(n, d, dv, offset):
    q, k, v = draw(n, n + (offset or 3), d, dv)
    expected = oracle(q, k, v, offset)
    np.testing.assert_allclose(cpu.attention(q, k, v, offset), expected, atol=1e-6)
    np.testing.assert_allclose(reference.attention(q, k, v, offset), expected, atol=1e-12)


def test_a_causal_query_ignores_later_keys():
    q, k, v = draw(4, 6, 8, 8)
    before = cpu.attention(q, k, v, 1)
    k[3:], v[3:] = np.nan, np.nan
    after = cpu.attention(q[:2], k, np.nan_to_num(v), 1)
    np.testing.assert_array_equal(after, before[:2])


def test_large_scores_do_not_overflow():
    q, k, v = draw(3, 5, 16, 2)
    y = cpu.attention(q * np.float32(1e4), k * np.float32(1e4), v)
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("shapes", "offset", "message"),
    [
        (((2, 8), (3, 4), (3, 4)), None, r"q.shape\[1\] is 8, but k.shape\[1\] is 4"),
        (((2, 8), (3, 8), (4, 8)), None, r"k.shape\[0\] is 3, but v.shape\[0\] is 4"),
        (((2, 8), (0, 8), (0, 8)), None, "there is no key"),
        (((2, 8), (3, 8), (3, 8)), -1, "2 queries from position -1"),
        (((2, 8), (3, 8), (3, 8)), 2, r"see keys up to 3, but k has keys 0\.\.2"),
        (((2, 8, 1), (3, 8), (3, 8)), None, r"q has shape \(2, 8, 1\)"),
    ],
)
def test_bad_arguments_are_named(shapes, offset, message):
    with pytest.raises(ValueError, match=f"^attention: .*{message}"):
        cpu.attention(*(np.zeros(shape, np.float32) for shape in shapes), offset)
