"""How the formats order the dimensions of a tensor.

GGUF lists the contiguous dimension first, ``[in_features, out_features]``; APR, safetensors and the
engine list it last. The bytes are the same, so changing between them reverses the list and moves
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from inference.quant.types import TensorType, prefix_bytes, row_bytes


def swap(dims: Sequence[int]) -> tuple[int, ...]:
    """Return the dimensions in the other order; one-dimensional shapes are their own swap."""
    return tuple(dims[::-1])


def tensor_nbytes(dtype: TensorType, shape: Sequence[int]) -> int:
    """Return the packed size in bytes of a tensor with ``shape`` in rows-first order.

    No dimensions at all are one value; a dimension of 0 is none.
    ``ValueError`` when the last dimension is not a whole number of blocks.
    """
    *rows, width = tuple(shape) or (1,)
    return prefix_bytes(dtype) + prod(rows) * row_bytes(dtype, width)
