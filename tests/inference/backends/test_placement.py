from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.backends.placement import Device, choose_device, uses_gpu


def test_the_threshold_itself_stays_on_the_cpu():
    assert choose_device(100, 100) is Device.CPU
    assert choose_device(101, 100) is Device.GPU


@given(st.integers(0), st.integers(1))
def test_without_a_gpu_everything_stays_on_the_cpu(size, threshold):
    assert choose_device(size, threshold, gpu_available=False) is Device.CPU
    assert uses_gpu(size, threshold) == (size > threshold)


@pytest.mark.parametrize(
    ("size", "threshold", "message"),
    [(-1, 5, "data_size cannot be negative, got -1"), (1, 0, "gpu_threshold must be positive")],
)
def test_senseless_sizes_are_named(size, threshold, message):
    with pytest.raises(ValueError, match=message):
        uses_gpu(size, threshold)
