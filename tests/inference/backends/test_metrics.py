from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.backends.metrics import DEFAULT_BOUNDARIES_US, DispatchMetrics, Histogram, gpu_ratio
from inference.backends.placement import Device


def test_hand_worked_histogram():
    histogram = Histogram((10, 20))
    for value in (0, 9, 10, 19, 20, 1000):
        histogram.add(value)
    assert histogram.buckets == [2, 2, 2]
    assert histogram.count == 6


@pytest.mark.parametrize("boundaries", [(10, 10), (20, 10), (1, 2, 2)])
def test_boundaries_increase_strictly(boundaries):
    with pytest.raises(ValueError, match="increase strictly"):
        Histogram(boundaries)


@given(
    st.lists(st.integers(-5, 50), max_size=40),
    st.sets(st.integers(0, 40), max_size=6),
)
def test_every_value_is_in_one_bucket(values, boundaries):
    histogram = Histogram(sorted(boundaries))
    for value in values:
        histogram.add(value)
    ends = [float("-inf"), *sorted(boundaries), float("inf")]
    expected = [sum(low <= value < high for value in values) for low, high in pairwise(ends)]
    assert histogram.buckets == expected
    assert sum(histogram.buckets) == histogram.count == len(values)


def test_ratio_before_the_first_dispatch_is_zero():
    assert gpu_ratio(0, 0) == 0.0
    assert DispatchMetrics().gpu_ratio == 0.0


def test_ratio_of_huge_counts():
    assert gpu_ratio(10**30, 10**30) == 0.5
    assert gpu_ratio(0, 10**400) == 1.0


def test_devices_are_timed_apart():
    metrics = DispatchMetrics()
    metrics.record(Device.CPU, 5)
    metrics.record(Device.GPU, 5_000_000)
    metrics.record(Device.GPU)
    snapshot = metrics.snapshot()
    assert (snapshot.cpu_dispatches, snapshot.gpu_dispatches, snapshot.total) == (1, 2, 3)
    assert (metrics.cpu_dispatches, metrics.gpu_dispatches, metrics.total) == (1, 2, 3)
    assert snapshot.gpu_ratio == metrics.gpu_ratio == pytest.approx(2 / 3)
    assert snapshot.cpu_latency.boundaries_us == DEFAULT_BOUNDARIES_US
    assert snapshot.cpu_latency.buckets == (1, 0, 0, 0, 0, 0, 0)
    assert snapshot.gpu_latency.buckets == (0, 0, 0, 0, 0, 0, 1)
    assert (snapshot.cpu_latency.count, snapshot.gpu_latency.count) == (1, 1)


def test_a_snapshot_does_not_change_afterwards():
    metrics = DispatchMetrics((10,))
    metrics.record(Device.CPU, 1)
    snapshot = metrics.snapshot()
    metrics.record(Device.CPU, 1)
    assert snapshot.cpu_latency.buckets == (1, 0)


def test_a_negative_latency_counts_nothing():
    metrics = DispatchMetrics()
    with pytest.raises(ValueError, match="negative, got -1 us"):
        metrics.record(Device.CPU, -1)
    assert metrics.total == 0
