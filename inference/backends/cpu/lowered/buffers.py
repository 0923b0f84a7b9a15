"""The memory that a compiled run works in."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from inference.kernels.cpu.checked import poison
from inference.kernels.cpu.memory import address_of, aligned


class Buffers:
    """Named float32 matrices, and memory for rounded activations, of ``rows`` rows each.

    Memory is claimed when it is first asked for. It begins as zeros, and costs nothing until used.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.widths: dict[str, int] = {}
        self._memory: dict[tuple[Hashable, int], NDArray[np.uint8]] = {}

    def memory(self, key: Hashable, row_bytes: int) -> int:
        """Return the address of rows of so many bytes; always the same for the same key."""
        place = key, row_bytes
        if place not in self._memory:
            self._memory[place] = aligned(self.rows * row_bytes, f"buffer {key!r}")
        return address_of(self._memory[place])

    def poison(self) -> None:
        """Make every matrix NaN; what is rounded keeps the zeros that it is filled up with."""
        for (name, _), memory in self._memory.items():
            if isinstance(name, str):
                poison(memory)

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
