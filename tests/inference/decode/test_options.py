from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from inference.decode import transforms
from inference.decode.options import SamplingOptions
from inference.errors import InputError


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("temperature", [-1, math.nan, math.inf]),
        ("top_k", [-1]),
        ("top_p", [0, 1.1, math.nan]),
        ("min_p", [-0.1, 1.1, math.nan]),
        ("typical_p", [0, 1.1, math.nan]),
        ("repetition_penalty", [0, -1, math.inf, math.nan]),
        ("presence_penalty", [math.inf, math.nan]),
        ("frequency_penalty", [-math.inf, math.nan]),
        ("penalty_last_n", [-2]),
        ("logit_bias", [{3: math.nan}, {3: math.inf}]),
        ("seed", [-1]),
    ],
)
def test_values_out_of_range_are_refused(name: str, bad: list[Any]) -> None:
    for value in bad:
        with pytest.raises(InputError, match=name):
            SamplingOptions(**{name: value})


def test_penalties_count_only_when_they_can_change_something() -> None:
    assert not SamplingOptions().penalizes
    assert SamplingOptions(repetition_penalty=1.1).penalizes
    assert SamplingOptions(frequency_penalty=-0.5).penalizes
    assert not SamplingOptions(presence_penalty=1.0, penalty_last_n=0).penalizes


def test_transforms_leave_their_input_alone_and_keep_its_type() -> None:
    logits = np.array([1.0, -2.0, 0.5, -np.inf], np.float32)
    before = logits.copy()
    counts = np.array([2, 0, 1, 0])
    results = [
        transforms.apply_logit_bias(logits, {1: 3.0}),
        transforms.apply_penalties(logits, counts, 1.3, 0.5, 0.25),
        *(transforms.apply_top_k(logits, k) for k in (0, 1, 9)),
        *(transforms.apply_typical(logits, p) for p in (0.5, 1.0)),
        *(transforms.apply_top_p(logits, p) for p in (0.5, 1.0)),
        *(transforms.apply_min_p(logits, p) for p in (0.0, 0.5)),
        transforms.apply_temperature(logits, 0.5),
    ]
    np.testing.assert_array_equal(logits, before)
    for result in results:
        assert result.dtype == np.float32
        assert result is not logits
        assert result[3] == -np.inf
        assert result.max() > -np.inf


def test_penalties_by_hand() -> None:
    logits = np.array([2.0, -2.0, 2.0], np.float64)
    found = transforms.apply_penalties(logits, np.array([3, 1, 0]), 2.0, 0.5, 0.25)
    # 2/2 − (3·0.5 + 0.25); −2·2 − (0.5 + 0.25); unseen.
    np.testing.assert_array_equal(found, [-0.75, -4.75, 2.0])


def test_typical_by_hand() -> None:
    # Entropy of (1/2, 1/4, 1/4) is 1.5 bits: all are half a bit away, and the first comes first.
    logits = np.log(np.array([0.25, 0.5, 0.25]))
    assert np.isfinite(transforms.apply_typical(logits, 0.2)).sum() == 1
    # (0.9, 0.05, 0.05): entropy 0.57 bits; the favourite's 0.15 is nearest.
    logits = np.log(np.array([0.05, 0.9, 0.05]))
    assert np.isfinite(transforms.apply_typical(logits, 0.5)).tolist() == [False, True, False]
