from __future__ import annotations

import numpy as np
import pytest

from inference.kernels.attention.cpu import attention
from inference.kernels.gqa import cpu, reference


def oracle(q, k, v, start=None):
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
    logits = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(q.shape[2])
    if start is not None:
        logits[:, ~np.tri(*logits.shape[1:], start, dtype=bool)] = -np.inf
    weights = np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True))
    return np.einsum("hij,jhc->ihc", weights, v)


def draw(n, s, heads, kv_heads, d=8, dv=8, seed=0):
    rng = np.random.default_rng(seed)
    sizes = ((n, heads, d), (s, kv_heads, d), (s, kv_heads, dv))
    return tuple(rng.normal(size=size).astype(np.float32) for size in sizes)


@pytest.mark.parametrize("start", [None, 0, 6])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "d", "dv"), [(1, 1, 8, 8), (4, 4, 8, 8), (6, 1, 16, 4), (14, 2, 64, 64)]
)
def test_matches_float64(heads, kv_heads, d, dv, start):
    q, k, v = draw(5, 5 + (start or 2), heads, kv_heads, d, dv)
    expected = oracle(q, k, v, start)
    np.testing.assert_allclose(cpu.gqa(q, k, v, start), expected, atol=1e-6)
    np.testing.assert_allclose(reference.gqa(q, k, v, start), expected, atol=1e-12)


def test_a_decode_step_equals_the_prefill_row():
    q, k, v = draw(6, 6, 14, 2, 64, 64)
    prefill = cpu.gqa(q, k, v, 0)
    for i in range(6):
        step = cpu.gqa(q[i : i + 1], k[: i + 1], v[: i + 1], i)
        np.testing.assert_allclose(step[0], prefill[i], atol=5e-7)


def test_keys_in_a_longer_cache_are_read_in_place():
    q, k, v = draw(2, 16, 4, 2)
    np.testing.assert_allclose(
        cpu.gqa(q, k[:7], v[:7], 5), cpu.gqa(q, k[:7].copy(), v[:7].copy(), 5), atol=1e-6
    )
    np.testing.assert_array_equal(cpu.gqa(q, k, v, 5), cpu.gqa(q, k, v, 5))


def test_each_query_head_reads_its_own_group():
    q, k, v = draw(3, 5, 6, 2)
    expected = np.stack(
        [attention(q[:, h].copy(), k[:, h // 3].copy(), v[:, h // 3].copy()) for h in range(6)], 1
    )
    np.testing.assert_allclose(cpu.gqa(q, k, v), expected, atol=5e-7)


def test_the_steps_are_what_a_trace_wants_to_see():
    q, k, v = draw(2, 5, 4, 2)
    scores = cpu.gqa_scores(q, k)
    before = scores.copy()
    weights = cpu.gqa_softmax(scores, 3)
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_allclose(
        scores, np.einsum("ihd,jhd->hij", q, k.repeat(2, 1)) / np.sqrt(8), atol=1e-6
    )
    assert (weights[:, 0, 4] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=2), 1, atol=1e-6)
    np.testing.assert_array_equal(cpu.gqa_mix(weights, v), cpu.gqa(q, k, v, 3))


@pytest.mark.parametrize(
    ("shapes", "start", "message"),
    [
        (((1, 14, 8), (3, 4, 8), (3, 4, 8)), None, "4 key/value heads do not divide 14"),
        (((1, 4, 8), (3, 0, 8), (3, 0, 8)), None, "0 key/value heads do not divide 4"),
        (((1, 4, 8), (3, 2, 4), (3, 2, 4)), None, r"q.shape\[2\] is 8, but k.shape\[2\] is 4"),
        (((1, 4, 8), (3, 2, 8), (4, 2, 8)), None, r"weights is 3, but v.shape\[0\] is 4"),
        (((1, 4, 8), (3, 2, 8), (3, 1, 8)), None, r"k.shape\[1\] is 2, but v.shape\[1\] is 1"),
        (((2, 4, 8), (3, 2, 8), (3, 2, 8)), 2, r"up to 3, but k has keys 0\.\.2"),
        (((2, 4, 8), (0, 2, 8), (0, 2, 8)), None, "there is no key"),
    ],
)
def test_bad_arguments_are_named(shapes, start, message):
    with pytest.raises(ValueError, match=f"^gqa: .*{message}"):
        cpu.gqa(*(np.zeros(shape, np.float32) for shape in shapes), start)


def test_reference_refuses_a_ratio_that_is_no_integer():
    with pytest.raises(ValueError, match="4 key/value heads do not divide 14"):
        reference.gqa(*draw(1, 2, 14, 4), None)


@pytest.mark.parametrize("window", [1, 3, 7, 100])
def test_a_window_hides_what_lies_before_it(window):
    scores = np.random.default_rng(0).normal(size=(2, 4, 9)).astype(np.float32)
    weights = cpu.gqa_softmax(scores, 5, window)
    for i in range(4):
        seen = range(max(0, 6 + i - window), 6 + i)
        expected = np.zeros((2, 9))
        expected[:, seen] = np.exp(scores[:, i, seen].astype(np.float64))
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(weights[:, i], expected, rtol=1e-5)
        assert np.all((weights[:, i] == 0) == (expected == 0))


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="gqa: the window is 0, but must be positive"):
        cpu.gqa_softmax(np.zeros((1, 1, 1), np.float32), 0, 0)
