from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import InputError
from inference.trace.activations import ForwardTrace, LayerActivation
from inference.trace.parity import (
    count_mismatches,
    first_divergence,
    layer_ratios,
    std_ratio,
    within_band,
)
from inference.trace.statistics import ActivationStats

NONE = ActivationStats()


def trace(*stds: float, count: int = 7) -> ForwardTrace:
    layers = tuple(
        LayerActivation(i, ffn_gate_stats=ActivationStats(std_dev=std, count=count))
        for i, std in enumerate(stds)
    )
    return ForwardTrace((1,), NONE, layers, NONE, NONE, np.zeros(1, np.float32))


@pytest.mark.parametrize(
    ("value", "inside"),
    [(0.5, True), (2.0, True), (1.245, True), (0.4999, False), (2.0001, False), (18.23, False),
     (math.nan, False), (math.inf, False), (-math.inf, False)],
)  # fmt: skip
def test_band(value: float, inside: bool) -> None:
    assert within_band(value, 0.5, 2.0) is inside


def test_ratio() -> None:
    one, two = ActivationStats(std_dev=1.0, count=7), ActivationStats(std_dev=2.0, count=7)
    zero = ActivationStats(count=7)
    assert std_ratio(one, two) == 0.5
    assert std_ratio(zero, zero) == 1.0
    assert std_ratio(one, zero) == math.inf
    assert not within_band(std_ratio(one, zero), 0.5, 2.0)
    with pytest.raises(InputError, match="7 and 1 elements"):
        std_ratio(one, replace(two, count=1))


def test_layers_are_compared_pairwise() -> None:
    assert layer_ratios(trace(1, 6), trace(2, 3), "ffn_gate") == [0.5, 2.0]
    with pytest.raises(InputError, match="1 and 2 layers"):
        layer_ratios(trace(1), trace(1, 2), "ffn_gate")


def test_count_mismatches_are_named() -> None:
    (found,) = count_mismatches(trace(1, count=25088), trace(1, count=3584))
    assert (found.layer, found.slot, found.a, found.b) == (0, "ffn_gate", 25088, 3584)
    assert count_mismatches(trace(1), trace(5)) == []


@given(st.lists(st.floats(allow_nan=True)))
def test_first_divergence(agreements: list[float]) -> None:
    found = first_divergence(agreements, 0.999)
    good = [value >= 0.999 for value in agreements]
    assert found == (good.index(False) if False in good else None)
