"""The rows of a tensor: packed as they lie in the file, float32 on demand.

The one place that knows what a part of a tensor needs besides its own bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from inference.formats.base import TensorInfo
from inference.quant import dequantize
from inference.quant.types import prefix_bytes, row_bytes

STRIP_VALUES = 1 << 22
"""Values expanded at a time: 16 MiB of float32."""


class PackedRows:
    """One tensor's rows; a vector is one row.

    ``packed`` is uint8 [rows, bytes per row], a view of ``raw``. ``prefix`` are the bytes before
    the rows, which every part of the tensor needs: APR-Q8's one scale, else nothing.
    """

    def __init__(self, info: TensorInfo, raw: NDArray[np.uint8]) -> None:
        self.dtype = info.dtype
        self.columns = info.shape[-1]
        begin = prefix_bytes(info.dtype)
        self.prefix = raw[:begin]
        self.packed = raw[begin:].reshape(
            prod(info.shape[:-1]), row_bytes(info.dtype, self.columns)
        )

    def __len__(self) -> int:
        return len(self.packed)

    def expand(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Return the chosen rows in float32, [chosen, columns]."""
        chosen = self.packed[rows]
        shape = len(chosen), self.columns
        if self.prefix.size:
            chosen = np.concatenate([self.prefix, chosen.reshape(-1)])
        return dequantize(chosen, self.dtype, shape)

    def strips(self) -> Iterator[NDArray[np.float32]]:
        """Yield all rows in float32, in order, ``STRIP_VALUES`` values or one row at a time."""
        step = max(1, STRIP_VALUES // self.columns)
        for start in range(0, len(self), step):
            yield self.expand(slice(start, start + step))
