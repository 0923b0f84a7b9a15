"""How fast this machine reads memory: the limit of decoding, which reads every weight per token."""

from __future__ import annotations

import mmap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.kernels.cpu.compiled import njit

SIZE = 1 << 29


class Memory:
    """A block of memory, far larger than the caches, that ``threads`` threads read in order."""

    def __init__(self, threads: int, size: int = SIZE) -> None:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            pages.madvise(mmap.MADV_HUGEPAGE)
        values = np.frombuffer(pages, np.int64)
        values[:] = 1
        self.size = values.nbytes
        self._parts: list[NDArray[np.int64]] = np.array_split(values, threads)
        self._pool = ThreadPoolExecutor(threads)
        _total(values[:8])

    def read(self) -> float:
        """Read all of it; return the seconds."""
        begin = time.perf_counter()
        found = sum(self._pool.map(_total, self._parts))
        seconds = time.perf_counter() - begin
        assert found == self.size // 8
        return seconds


@njit(nogil=True, cache=True)
def _total(values: Any) -> Any:
    result = 0
    for value in values:
        result += value
    return result
