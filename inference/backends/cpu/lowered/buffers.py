"""The memory that a compiled run works in."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from inference.kernels.cpu.memory import address_of, aligned


class Buffers:
    """Named float32 matrices, and memory for rounded activations, of ``rows`` rows each.

    Memory is claimed when it is first asked for. It begins as zeros, and costs nothing until used.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.widths: dict[str, int] = {}
        self._memory: dict[Hashable, NDArray[np.uint8]] = {}

    def memory(self, key: Hashable, row_bytes: int) -> int:
        """Return the address of rows of so many bytes; always the same for the same key."""
        key = key, row_bytes
        if key not in self._memory:
            self._memory[key] = aligned(self.rows * row_bytes)
        return address_of(self._memory[key])

    def place(self, name: str) -> tuple[int, int]:
        """Return the address of a matrix and the floats from one of its rows to the next."""
        width = self.widths[name]
        return self.memory(name, 4 * width), width

    def matrix(self, name: str, rows: int, columns: int) -> NDArray[np.float32]:
        """View the upper left of a matrix."""
        width = self.widths[name]
        self.memory(name, 4 * width)
        whole = self._memory[name, 4 * width].view(np.float32).reshape(self.rows, width)
        return whole[:rows, :columns]
