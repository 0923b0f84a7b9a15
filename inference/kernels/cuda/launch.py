"""Launch geometry of CUDA kernels: integer arithmetic, no device needed."""

from __future__ import annotations

from typing import NamedTuple

MAX_THREADS_PER_BLOCK = 1024
MAX_GRID_X = 2**31 - 1
MAX_GRID_YZ = 65_535


class LaunchDimensions(NamedTuple):
    """Blocks per grid and threads per block, each (x, y, z)."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]


def blocks_for(n: int, block: int) -> int:
    """Return how many blocks of ``block`` threads cover ``n`` elements: ⌈n / block⌉."""
    return (n + block - 1) // block


def launch_dimensions(n: int, m: int, batch: int, block: tuple[int, int]) -> LaunchDimensions:
    """Return the geometry that covers an n × m problem, ``batch`` times over.

    ``n`` runs along x and ``m`` along y; ``block`` is (threads in x, threads in y).
    Raises:
        ValueError: a size is not positive, or the geometry exceeds what CUDA launches.
    """
    block_x, block_y = block
    if n <= 0 or m <= 0 or batch <= 0 or block_x <= 0 or block_y <= 0:
        raise ValueError(f"sizes must be positive: n={n}, m={m}, batch={batch}, block={block}")
    if block_x * block_y > MAX_THREADS_PER_BLOCK:
        raise ValueError(
            f"a block of {block_x} × {block_y} threads exceeds {MAX_THREADS_PER_BLOCK}"
        )
    grid = (blocks_for(n, block_x), blocks_for(m, block_y), batch)
    if grid[0] > MAX_GRID_X or grid[1] > MAX_GRID_YZ or grid[2] > MAX_GRID_YZ:
        raise ValueError(f"grid {grid} exceeds ({MAX_GRID_X}, {MAX_GRID_YZ}, {MAX_GRID_YZ})")
    return LaunchDimensions(grid, (block_x, block_y, 1))


def rows_launch(n: int, rows: int, threads: int) -> LaunchDimensions:
    """Return the geometry of a kernel that takes its row from ``blockIdx.y`` and strides over rows.

    More rows than a grid is high are served by the kernel's own loop.
    """
    return launch_dimensions(n, min(rows, MAX_GRID_YZ), 1, (threads, 1))
