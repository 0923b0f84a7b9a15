"""The byte layout of APR v2 that its reader and its writer share."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

from inference.quant.types import AprType, GGMLType, TensorType

MAGIC = b"APR\0"
OLD_MAGICS = (b"APR1", b"APR2")
VERSION = (2, 0)
ALIGNMENT = 64
HEADER_SIZE = 64
FOOTER_SIZE = 4
MAX_METADATA = 16 << 20
MAX_NAME = 256
MAX_DIMS = 8
MAX_TENSORS = 1 << 20
MIN_ENTRY = 20
MAX_ENTRY = 20 + MAX_NAME + 8 * MAX_DIMS

DTYPE_EXTENSION_KEY = "dtype_extension"
DTYPE_EXTENSION = "ggml+160"
_EXTENSION_BASE = 160

_HEADER = struct.Struct("<4sBBHIQIQQI20s")
_CRC_OFFSET = 40


class Flag(IntFlag):
    """Header flags."""

    LZ4 = 1
    ZSTD = 2
    ENCRYPTED = 4
    SIGNED = 8
    SHARDED = 16
    QUANTIZED = 32
    FILTERBANK = 64
    MODEL_CARD = 128
    STREAMING = 256
    HAS_VOCABULARY = 512
    ROW_MAJOR = 1024
    COLUMN_MAJOR = 2048


# The format's own ids. GGML types outside this table go by 160 + their GGML number.
_NATIVE: Mapping[TensorType, int] = {
    GGMLType.F32: 0,
    GGMLType.F16: 1,
    GGMLType.F64: 3,
    GGMLType.I32: 4,
    GGMLType.I64: 5,
    GGMLType.I8: 6,
    GGMLType.Q4_K: 12,
    GGMLType.Q6_K: 14,
    GGMLType.BF16: 30,
    AprType.APR_Q4: 128,
    AprType.APR_Q8: 129,
}
_EXTENSION: Mapping[TensorType, int] = {
    dtype: _EXTENSION_BASE + dtype.value for dtype in GGMLType if dtype not in _NATIVE
}
_IDS = {**_NATIVE, **_EXTENSION}
_LEGACY_IDS: Mapping[int, TensorType] = {8: AprType.APR_Q4, 9: AprType.APR_Q8}
_TYPES = {**_LEGACY_IDS, **{number: dtype for dtype, number in _IDS.items()}}
UNSUPPORTED_DTYPES: Mapping[int, str] = {7: "U8"}
"""Ids of the format that the engine does not read, with their names."""


def dtype_id(dtype: TensorType) -> int:
    """Return the id of an element type in the tensor index."""
    return _IDS[dtype]


def dtype_of(number: int) -> TensorType | None:
    """Return the element type of an id, ``None`` for one that the engine does not read."""
    return _TYPES.get(number)


def is_extension(dtype: TensorType) -> bool:
    """Tell whether a type's id belongs to the range that ``dtype_extension`` announces."""
    return dtype in _EXTENSION


def aligned(offset: int) -> int:
    """Return the next multiple of 64."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Header:
    """The first 64 bytes; ``crc`` is the stored checksum, not a computed one."""

    flags: int
    tensor_count: int
    metadata_size: int
    index_offset: int
    data_offset: int
    magic: bytes = MAGIC
    version: tuple[int, int] = VERSION
    metadata_offset: int = HEADER_SIZE
    crc: int = 0
    reserved: bytes = bytes(20)

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Return the header in 64 bytes, unchecked."""
        magic, major, minor, flags, count, meta_at, meta_size, index, start, crc, reserved = (
            _HEADER.unpack(data)
        )
        return cls(
            flags, count, meta_size, index, start, magic, (major, minor), meta_at, crc, reserved
        )

    def pack(self) -> bytes:
        """Return the header as 64 bytes with a correct checksum."""
        data = _HEADER.pack(
            self.magic,
            *self.version,
            self.flags,
            self.tensor_count,
            self.metadata_offset,
            self.metadata_size,
            self.index_offset,
            self.data_offset,
            0,
            self.reserved,
        )
        crc = header_crc(data)
        return data[:_CRC_OFFSET] + struct.pack("<I", crc) + data[_CRC_OFFSET + 4 :]


def header_crc(data: bytes) -> int:
    """Return the CRC-32 of a 64-byte header without its checksum field."""
    return zlib.crc32(data[_CRC_OFFSET + 4 :], zlib.crc32(data[:_CRC_OFFSET]))
