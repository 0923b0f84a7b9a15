"""Block formats of weights: packed bytes to float32 and back.

Matrices are packed row by row. A row whose length is not a multiple of the block is padded with
zeros when quantized, and the padding is dropped when dequantized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference import threads
from inference.errors import UnsupportedTypeError
from inference.quant import absmax, legacy
from inference.quant.formats import FORMATS
from inference.quant.types import (
    AprType,
    GGMLType,
    TensorType,
    block_size,
    padded_row_bytes,
    prefix_bytes,
    type_size,
)

__all__ = ["DECODERS", "ENCODERS", "WRITABLE", "GGMLType", "dequantize", "quantize"]

DECODERS: Mapping[TensorType, Callable[[legacy.Bytes, legacy.Floats], None]] = MappingProxyType(
    {dtype: row.decode for dtype, row in FORMATS.items()}
)

ENCODERS: Mapping[TensorType, Callable[[legacy.Floats], legacy.Bytes]] = MappingProxyType(
    {dtype: row.encode for dtype, row in FORMATS.items() if row.encode is not None}
)

WRITABLE = frozenset({*ENCODERS, AprType.APR_Q8})
"""Types that ``quantize`` packs; APR-Q8 is packed tensor by tensor rather than block by block."""

_Codec = TypeVar("_Codec")

MAX_WEIGHT = 65504.0
"""The largest float16: what the scales and constants of a block can express."""

# Weights handled at a time: enough to pay for the NumPy calls, few enough to stay in a processor's
# cache from one call to the next, which takes 5-bit weights two thirds of the time.
_CHUNK = 1 << 17


def dequantize(
    raw: NDArray[np.uint8], dtype: TensorType, shape: Sequence[int]
) -> NDArray[np.float32]:
    """Expand packed weights to float32.

    Shapes:
        raw: any shape with the bytes of ``shape``, rows last; flat for APR-Q8, its scale first
        returns: ``shape``

    Raises:
        UnsupportedTypeError: the type has no decoder.
        ValueError: the bytes do not fit the shape.
    """
    decoder = _lookup(DECODERS, dtype, "dequantize")
    shape = tuple(shape)
    cols = shape[-1] if shape else 1
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    prefix = prefix_bytes(dtype)
    needed = prefix + rows * padded_row_bytes(dtype, cols)
    if raw.dtype != np.uint8 or raw.size != needed:
        raise ValueError(
            f"dequantize: shape {shape} in {dtype.name} takes {needed} bytes,"
            f" got {raw.size} values of {raw.dtype}"
        )
    if needed == prefix:
        return np.zeros(shape, dtype=np.float32)
    # Plain numbers have blocks of 1; runs of 32 keep the inner loops long.
    width = block_size(dtype) if block_size(dtype) > 1 else cols
    body = raw.reshape(-1)[prefix:] if prefix else raw
    blocks = body.reshape(-1, type_size(dtype) * (width // block_size(dtype)))
    out = np.empty((len(blocks), width), dtype=np.float32)

    def decode(first: int, last: int) -> None:
        with np.errstate(invalid="ignore", over="ignore"):  # a scale may be infinite
            decoder(blocks[first:last], out[first:last])

    threads.for_chunks(decode, len(blocks), max(1, _CHUNK // width))
    if prefix:
        out *= absmax.tensor_scale(raw.reshape(-1)[:prefix])
    return np.ascontiguousarray(out.reshape(rows, -1)[:, :cols]).reshape(shape)


def quantize(x: NDArray[np.float32], dtype: TensorType) -> NDArray[np.uint8]:
    """Pack float32 weights, rows along the last axis.

    Shapes:
        x: [..., cols]
        returns: [..., bytes of a row]; flat for APR-Q8, which needs the whole tensor at once

    Raises:
        UnsupportedTypeError: the type has no encoder.
        ValueError: not float32, no axis, or values that the scales cannot express.
    """
    encoder = None if dtype == AprType.APR_Q8 else _lookup(ENCODERS, dtype, "quantize")
    if x.dtype != np.float32 or x.ndim == 0:
        raise ValueError(f"quantize: needs a float32 array with an axis, got {x.dtype}{x.shape}")
    if encoder is None:
        return absmax.encode_apr_q8(x)
    if block_size(dtype) > 1 and not (np.abs(x) <= MAX_WEIGHT).all():
        raise ValueError(f"quantize: {dtype.name} cannot hold NaN or values beyond ±{MAX_WEIGHT}")
    cols = x.shape[-1]
    width = block_size(dtype)
    padded = np.pad(x.reshape(-1, cols), ((0, 0), (0, -cols % width)))
    blocks = padded.reshape(-1, width)
    out = np.empty((len(blocks), type_size(dtype)), dtype=np.uint8)

    def encode(first: int, last: int) -> None:
        out[first:last] = encoder(blocks[first:last])

    threads.for_chunks(encode, len(blocks), max(1, _CHUNK // width))
    return out.reshape(*x.shape[:-1], padded_row_bytes(dtype, cols))


def _lookup(table: Mapping[TensorType, _Codec], dtype: TensorType, action: str) -> _Codec:
    try:
        return table[dtype]
    except KeyError:
        known = ", ".join(sorted(known.name for known in table))
        raise UnsupportedTypeError(f"cannot {action} {dtype!r}; supported: {known}") from None
