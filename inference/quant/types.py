"""Tensor types of GGML and of APR, and how many bytes they take.

The enumeration of GGML's is the ``gguf`` package's own, so that a type read from a file, written to
one or named in an error is always the same object.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as GGMLType


class AprType(IntEnum):
    """Element types that only APR files have, by their number there."""

    APR_Q4 = 128
    APR_Q8 = 129


TensorType: TypeAlias = GGMLType | AprType
_SIZES = {**GGML_QUANT_SIZES, AprType.APR_Q4: (32, 18), AprType.APR_Q8: (1, 1)}

QK = 32
"""Weights in a block of the legacy formats."""

QK_K = 256
"""Weights in a super-block of the K-quants."""

__all__ = [
    "QK",
    "QK_K",
    "AprType",
    "GGMLType",
    "TensorType",
    "block_size",
    "is_quantized",
    "padded_row_bytes",
    "prefix_bytes",
    "row_bytes",
    "type_named",
    "type_size",
]


def block_size(dtype: TensorType) -> int:
    """Return how many weights one block of the type holds (1 for plain numbers)."""
    return int(_SIZES[dtype][0])


def type_size(dtype: TensorType) -> int:
    """Return how many bytes one block of the type takes."""
    return int(_SIZES[dtype][1])


def row_bytes(dtype: TensorType, cols: int) -> int:
    """Return the bytes of one row of ``cols`` weights.

    Raises:
        ValueError: the row is not a whole number of blocks, which no model file may contain.
    """
    if cols % block_size(dtype):
        raise ValueError(f"{dtype.name} has blocks of {block_size(dtype)}; a row has {cols}")
    return padded_row_bytes(dtype, cols)


def padded_row_bytes(dtype: TensorType, cols: int) -> int:
    """Return the bytes of one row of ``cols`` weights, its last block padded to full length."""
    return -(-cols // block_size(dtype)) * type_size(dtype)


def prefix_bytes(dtype: TensorType) -> int:
    """Return the bytes before the rows of a tensor: the one scale of APR-Q8, else 0."""
    return 4 if dtype == AprType.APR_Q8 else 0


def is_quantized(dtype: TensorType) -> bool:
    """Tell whether the type packs weights with scales, unlike plain numbers."""
    return block_size(dtype) > 1 or prefix_bytes(dtype) > 0


def type_named(name: str) -> TensorType:
    """Return the type of that name in any case (``q4_k``, ``F16``, ``apr_q8``).

    Raises:
        KeyError: no type has that name.
    """
    wanted = name.upper().replace("-", "_")
    return AprType[wanted] if wanted in AprType.__members__ else GGMLType[wanted]
