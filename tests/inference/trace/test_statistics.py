from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.trace.statistics import ActivationStats

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.lists(FLOATS, max_size=40))
def test_against_the_standard_library(values: list[float]) -> None:
    found = ActivationStats.of(np.array(values, np.float32))
    finite = [value for value in values if math.isfinite(value)]
    assert found.count == len(values)
    assert found.nan_count == sum(map(math.isnan, values))
    assert found.inf_count == sum(map(math.isinf, values))
    assert found.zero_count == finite.count(0.0)
    if not finite:
        assert (found.min, found.max, found.mean, found.std_dev) == (0.0, 0.0, 0.0, 0.0)
        return
    assert (found.min, found.max) == (min(finite), max(finite))
    largest = max(map(abs, finite))
    assert found.mean == pytest.approx(statistics.fmean(finite), rel=1e-12, abs=1e-12 * largest)
    deviation = statistics.stdev(finite) if len(finite) > 1 else 0.0
    assert found.std_dev == pytest.approx(deviation, rel=1e-9, abs=1e-12 * largest)


def test_empty_is_all_zero() -> None:
    assert ActivationStats.of(np.zeros((0, 4), np.float32)) == ActivationStats()


def test_worked_by_hand() -> None:
    found = ActivationStats.of(np.array([[1.0, np.nan], [3.0, -np.inf], [0.0, 8.0]], np.float32))
    assert found == ActivationStats(
        min=0.0, max=8.0, mean=3.0, std_dev=math.sqrt(38 / 3),
        nan_count=1, inf_count=1, zero_count=1, count=6,
    )  # fmt: skip


def test_variance_is_taken_in_float64() -> None:
    values = np.array([16777216.0, 16777218.0], np.float32)
    assert ActivationStats.of(values).std_dev == pytest.approx(math.sqrt(2.0))


@given(
    st.lists(
        st.floats(width=32, min_value=-1e6, max_value=1e6) | st.just(math.nan) | st.just(math.inf)
    ),
    st.lists(st.floats(width=32, min_value=-1e6, max_value=1e6) | st.just(-math.inf)),
)
def test_joined_figures_are_those_of_the_whole(left: list[float], right: list[float]) -> None:
    parts = [np.array(part, np.float32) for part in (left, right)]
    whole = ActivationStats.of(np.concatenate(parts))
    joined = ActivationStats.of(parts[0]).joined(ActivationStats.of(parts[1]))
    counts = ("min", "max", "nan_count", "inf_count", "zero_count", "count")
    assert [getattr(joined, name) for name in counts] == [getattr(whole, name) for name in counts]
    assert joined.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert joined.std_dev == pytest.approx(whole.std_dev, rel=1e-6, abs=1e-6)
