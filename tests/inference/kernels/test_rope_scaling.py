from __future__ import annotations

import math

import numpy as np

from inference.kernels.rope import interpolated, interpolated_by_parts, rope
from inference.kernels.rope.cpu import rope_frequencies, rope_rotate, rope_table

FREQUENCIES = rope_frequencies(64, 5e5)


def test_linear_scaling_squeezes_positions():
    x = np.random.default_rng(0).normal(size=(3, 2, 64)).astype(np.float32)
    table = rope_table([0, 8, 800], interpolated(FREQUENCIES, 8.0))
    np.testing.assert_allclose(rope_rotate(x, *table), rope(x, [0, 1, 100], 5e5), atol=1e-5)


def test_by_parts_keeps_short_waves_and_divides_long_ones():
    context, low, high = 8192, 1.0, 4.0
    found = interpolated_by_parts(FREQUENCIES, 8.0, low, high, context)
    waves = 2 * math.pi / FREQUENCIES
    ratio = found / FREQUENCIES
    assert np.all(ratio[waves < context / high] == 1.0)
    np.testing.assert_allclose(ratio[waves > context / low], 1 / 8)
    between = ratio[(waves > context / high) & (waves < context / low)]
    assert between.size > 0
    assert np.all((between > 1 / 8) & (between < 1))
    assert np.all(np.diff(ratio) <= 0)


def test_hand_worked_mixture():
    # 2 turns in the context, between 1 and 4: a third of the way from divided to kept.
    found = interpolated_by_parts(np.array([2 * math.pi * 2 / 100]), 8.0, 1.0, 4.0, 100)
    np.testing.assert_allclose(found, 2 * math.pi * 2 / 100 * (1 / 3 + 2 / 3 / 8))
