from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.kernels.cuda.launch import (
    MAX_GRID_YZ,
    LaunchDimensions,
    launch_dimensions,
    rows_launch,
)
from inference.kernels.qmatmul import cuda as qmatmul
from inference.kernels.rmsnorm import cuda as rmsnorm
from inference.kernels.swiglu import cuda as swiglu


def test_hand_worked_geometry():
    assert launch_dimensions(100, 33, 4, (32, 8)) == LaunchDimensions((4, 5, 4), (32, 8, 1))


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.integers(1, 100), st.integers(1, 32))
def test_grid_covers_without_an_idle_block(n, m, batch, side):
    if (m + side - 1) // side > MAX_GRID_YZ:
        with pytest.raises(ValueError, match="exceeds"):
            launch_dimensions(n, m, batch, (side, side))
        return
    grid, block = launch_dimensions(n, m, batch, (side, side))
    assert (grid[0] - 1) * block[0] < n <= grid[0] * block[0]
    assert (grid[1] - 1) * block[1] < m <= grid[1] * block[1]
    assert grid[2] == batch


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, (32, 1)), "must be positive"),
        ((1, -1, 1, (32, 1)), "must be positive"),
        ((1, 1, 0, (32, 1)), "must be positive"),
        ((1, 1, 1, (0, 1)), "must be positive"),
        ((1, 1, 1, (64, 32)), "64 × 32 threads exceeds 1024"),
        ((2**31, 1, 1, (1, 1)), "grid"),
        ((1, 65_536, 1, (1, 1)), "grid"),
        ((1, 1, 65_536, (1, 1)), "grid"),
    ],
)
def test_what_cuda_cannot_launch_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        launch_dimensions(*arguments)


def test_more_rows_than_a_grid_is_high_are_left_to_the_kernels_loop():
    assert rows_launch(100, 200_000, 64).grid == (2, MAX_GRID_YZ, 1)


def test_geometry_of_the_kernels():
    assert rmsnorm.dimensions(7) == LaunchDimensions((1, 7, 1), (256, 1, 1))
    assert swiglu.dimensions(4864, 3) == LaunchDimensions((19, 3, 1), (256, 1, 1))
    assert qmatmul.dimensions(4865, 2) == LaunchDimensions((1217, 2, 1), (32, 4, 1))
    assert qmatmul.dimensions(1, 10**6).grid == (1, MAX_GRID_YZ, 1)
