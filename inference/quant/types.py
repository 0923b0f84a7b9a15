"""Tensor types of GGML, and how many bytes they take.

The enumeration is the ``gguf`` package's own, so that a type read from a file, written to one or
named in an error is always the same object.
"""

from __future__ import annotations

from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as GGMLType

QK = 32
"""Weights in a block of the legacy formats."""

QK_K = 256
"""Weights in a super-block of the K-quants."""

__all__ = ["QK", "QK_K", "GGMLType", "block_size", "padded_row_bytes", "row_bytes", "type_size"]


def block_size(dtype: GGMLType) -> int:
    """Return how many weights one block of the type holds (1 for plain numbers)."""
    return int(GGML_QUANT_SIZES[dtype][0])


def type_size(dtype: GGMLType) -> int:
    """Return how many bytes one block of the type takes."""
    return int(GGML_QUANT_SIZES[dtype][1])


def row_bytes(dtype: GGMLType, cols: int) -> int:
    """Return the bytes of one row of ``cols`` weights.

    Raises:
        ValueError: the row is not a whole number of blocks, which no model file may contain.
    """
    if cols % block_size(dtype):
        raise ValueError(f"{dtype.name} has blocks of {block_size(dtype)}; a row has {cols}")
    return padded_row_bytes(dtype, cols)


def padded_row_bytes(dtype: GGMLType, cols: int) -> int:
    """Return the bytes of one row of ``cols`` weights, its last block padded to full length."""
    return -(-cols // block_size(dtype)) * type_size(dtype)
