"""The tensors of a model, found once by name, packed as in the file, float32 on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.formats.base import ModelFile, TensorInfo
from inference.formats.rows import PackedRows
from inference.model.ops import Program
from inference.quant.types import TensorType

Numerics = Literal["f32", "fused"]

F32_CACHE_BYTES = 4 * 1024**3
"""How much float32 copies of packed matrices may occupy by default, in bytes."""

_STRIP_VALUES = 1 << 22  # values expanded at a time when a matrix is not kept: 16 MiB of float32


class F32Budget:
    """What float32 copies may still occupy; first come, first kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.lock = threading.RLock()
        """Held while a copy is made, so that nobody makes it twice, but for a signal handler."""

    def take(self, nbytes: int) -> bool:
        """Claim ``nbytes`` if they fit."""
        if self.used + nbytes > self.limit:
            return False
        self.used += nbytes
        return True

    def give_back(self, nbytes: int) -> None:
        """Return ``nbytes`` that were claimed."""
        self.used -= nbytes


class Weight:
    """One tensor: packed rows as they lie in the file, float32 when asked.

    ``packed`` is uint8 [rows, bytes per row], a read-only view of the file; a vector is one row.
    ``offset`` is what is added to a vector's values.
    """

    def __init__(
        self,
        info: TensorInfo,
        raw: NDArray[np.uint8],
        budget: F32Budget,
        offset: float = 0.0,
    ) -> None:
        self.name = info.name
        self.dtype: TensorType = info.dtype
        self.shape = info.shape
        self.columns = info.shape[-1]
        self.rows = prod(info.shape[:-1])
        self._source = PackedRows(info, raw)
        self.packed = self._source.packed
        self.offset = np.float32(offset)
        self._budget = budget
        self._kept: NDArray[np.float32] | None = None

    def take(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Expand the chosen rows only, float32 [chosen, columns]."""
        return self._source.expand(rows)

    def strips(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the matrix as (rows, float32 values): at once if it may be kept, else in strips."""
        kept = self._expanded()
        if kept is not None:
            yield slice(None), kept
            return
        step = max(1, _STRIP_VALUES // self.columns)
        for start in range(0, self.rows, step):
            rows = slice(start, min(start + step, self.rows))
            yield rows, self.take(rows)

    def _expanded(self) -> NDArray[np.float32] | None:
        with self._budget.lock:
            size = 4 * self.rows * self.columns
            if self._kept is None and self._budget.take(size):
                self._keep(self.take(slice(None)))
            return self._kept

    def _keep(self, copy: NDArray[np.float32]) -> None:
        if self._kept is not None:  # a signal handler has made one meanwhile
            self._budget.give_back(copy.nbytes)
        else:
            self._kept = copy

    def release(self) -> None:
        """Drop the float32 copy."""
        with self._budget.lock:
            if self._kept is not None:
                self._budget.give_back(self._kept.nbytes)
                self._kept = None


def resolve(file: ModelFile, program: Program, f32_cache_bytes: int) -> Mapping[str, Weight]:
    """Find every parameter of ``program`` in ``file``, whose structure has been checked."""
    budget = F32Budget(f32_cache_bytes)
    return {
        p.name: Weight(file.tensors[p.name], file.raw(p.name), budget, p.offset)
        for p in program.parameters()
    }


def resolve_vectors(weights: Mapping[str, Weight]) -> Mapping[str, NDArray[np.float32]]:
    """Expand the one-dimensional tensors (norms, biases) by name; together they are small."""
    return {
        name: weight.take(slice(None))[0] + weight.offset
        for name, weight in weights.items()
        if len(weight.shape) == 1
    }
