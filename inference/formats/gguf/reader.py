"""Reader of GGUF files, versions 2 and 3, little-endian (ggml's docs/gguf.md).

Every count, length and offset is checked against what is left of the file before it is used, so a
hostile header costs neither memory nor time. Errors carry the byte at which the file goes wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGUFValueType
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.layout import swap, tensor_nbytes
from inference.formats.mapped import Closing, MappedFile, check_extents
from inference.quant.types import GGMLType

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MAX_DIMS = 4
MAX_NAME = 65_535
MAX_STRING = 1 << 26
MAX_STRINGS = 1 << 22
MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 20
MAX_ELEMENTS = (1 << 63) - 1

SCALARS: Mapping[GGUFValueType, struct.Struct] = {
    GGUFValueType.UINT8: struct.Struct("<B"),
    GGUFValueType.INT8: struct.Struct("<b"),
    GGUFValueType.UINT16: struct.Struct("<H"),
    GGUFValueType.INT16: struct.Struct("<h"),
    GGUFValueType.UINT32: struct.Struct("<I"),
    GGUFValueType.INT32: struct.Struct("<i"),
    GGUFValueType.FLOAT32: struct.Struct("<f"),
    GGUFValueType.BOOL: struct.Struct("<?"),
    GGUFValueType.UINT64: struct.Struct("<Q"),
    GGUFValueType.INT64: struct.Struct("<q"),
    GGUFValueType.FLOAT64: struct.Struct("<d"),
}
"""How the values of each type lie in the file."""


class GgufFile(Closing):
    """An open GGUF file.

    ``metadata`` maps keys to Python values, in file order; numeric arrays are read-only NumPy views
    and string arrays are lists. ``metadata_types`` keeps each value's GGUF type, ``(ARRAY, element
    type)`` for arrays. Bytes of a string that are not UTF-8 become lone surrogates
    (``surrogateescape``), so that nothing is lost.
    """

    format = "gguf"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = MappedFile(self.path)
        try:
            parser = _Parser(self._file)
            parser.parse()
        except BaseException:
            self._file.close()
            raise
        self.version = parser.version
        self.alignment = parser.alignment
        self.data_offset = parser.data_offset
        self.metadata: Mapping[str, Any] = parser.metadata
        self.metadata_types = parser.types
        self.tensors: Mapping[str, TensorInfo] = parser.tensors

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the packed bytes of a tensor, shape [nbytes], as a read-only view."""
        info = self.tensors[name]
        return self._file.view(info.offset, info.nbytes)

    def close(self) -> None:
        """Release the memory map."""
        self._file.close()


class _Parser:
    """One pass over the header; ``offset`` is the next byte to read."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.offset = 0
        self.version = 0
        self.alignment = DEFAULT_ALIGNMENT
        self.data_offset = 0
        self.metadata: dict[str, Any] = {}
        self.types: dict[str, tuple[GGUFValueType, ...]] = {}
        self.tensors: dict[str, TensorInfo] = {}

    def parse(self) -> None:
        self._magic_and_version()
        tensor_count = self._count("tensors", MAX_TENSORS, smallest=32)
        key_count = self._count("metadata keys", MAX_KEYS, smallest=13)
        for _ in range(key_count):
            self._key_value()
        self._set_alignment()
        infos = [self._tensor_info() for _ in range(tensor_count)]
        self._place(infos)

    def _magic_and_version(self) -> None:
        magic = self.file.read(0, 4, "the magic")
        if magic != MAGIC:
            raise UnsupportedFormatError(
                self.file.path, f"is not a GGUF file: it begins with {magic!r}", offset=0
            )
        (self.version,) = struct.unpack("<I", self.file.read(4, 4, "the version"))
        if self.version and self.version & 0xFFFF == 0:
            raise UnsupportedFormatError(
                self.file.path, "big-endian GGUF is not supported; convert the file", offset=4
            )
        if self.version not in (2, 3):
            raise UnsupportedFormatError(
                self.file.path,
                f"GGUF version {self.version} is not supported; versions 2 and 3 are",
                offset=4,
            )
        self.offset = 8

    def _fail(self, message: str, offset: int) -> ModelFileError:
        return ModelFileError(self.file.path, message, offset=offset)

    def _number(self, layout: struct.Struct, what: str) -> Any:
        data = self.file.read(self.offset, layout.size, what)
        self.offset += layout.size
        return layout.unpack(data)[0]

    def _u32(self, what: str) -> int:
        return int(self._number(SCALARS[GGUFValueType.UINT32], what))

    def _u64(self, what: str) -> int:
        return int(self._number(SCALARS[GGUFValueType.UINT64], what))

    def _count(self, what: str, limit: int, *, smallest: int) -> int:
        """Read a u64 count of things that take at least ``smallest`` bytes each."""
        at = self.offset
        count = self._u64(f"the number of {what}")
        if count > limit:
            raise self._fail(f"{count:,} {what}; at most {limit:,} are accepted", at)
        if count * smallest > self.file.size - at:
            raise self._fail(
                f"{count:,} {what} cannot fit into the rest of the file, {self.file.size - at:,} "
                "bytes",
                at,
            )
        return count

    def _bytes(self, what: str, limit: int) -> bytes:
        at = self.offset
        length = self._u64(f"the length of {what}")
        if length > limit:
            raise self._fail(f"{what} is {length:,} bytes long; at most {limit:,} are accepted", at)
        data = self.file.read(self.offset, length, what)
        self.offset += length
        return data

    def _name(self, what: str) -> str:
        at = self.offset
        data = self._bytes(what, MAX_NAME)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._fail(f"{what} is not UTF-8: {data[:64]!r}", at) from error

    def _type(self, what: str) -> GGUFValueType:
        at = self.offset
        number = self._u32(f"the type of {what}")
        try:
            return GGUFValueType(number)
        except ValueError as error:
            raise self._fail(f"{what} has unknown value type {number}", at) from error

    def _key_value(self) -> None:
        at = self.offset
        key = self._name("a metadata key")
        if not key:
            raise self._fail("a metadata key is empty", at)
        if key in self.metadata:
            raise self._fail(f"metadata key {key!r} occurs twice", at)
        kind = self._type(f"metadata key {key!r}")
        if kind == GGUFValueType.ARRAY:
            element = self._type(f"the elements of {key!r}")
            self.metadata[key] = self._array(key, element)
            self.types[key] = (kind, element)
        else:
            self.metadata[key] = self._scalar(key, kind)
            self.types[key] = (kind,)

    def _scalar(self, key: str, kind: GGUFValueType) -> Any:
        if kind == GGUFValueType.STRING:
            return self._bytes(f"the value of {key!r}", MAX_STRING).decode(errors="surrogateescape")
        return self._number(SCALARS[kind], f"the value of {key!r}")

    def _array(self, key: str, element: GGUFValueType) -> Any:
        if element == GGUFValueType.ARRAY:
            raise UnsupportedFormatError(
                self.file.path, f"metadata key {key!r} is a nested array", offset=self.offset
            )
        if element == GGUFValueType.STRING:
            return self._strings(key, self._count(f"strings in {key!r}", MAX_STRINGS, smallest=8))
        layout = SCALARS[element]
        count = self._count(f"elements in {key!r}", self.file.size, smallest=layout.size)
        if count * layout.size > self.file.size - self.offset:
            raise self._fail(f"the elements of {key!r} pass the end of the file", self.offset)
        array = np.frombuffer(self.file.map, layout.format, count, self.offset)
        self.offset += array.nbytes
        return array

    def _strings(self, key: str, count: int) -> list[str]:
        # A vocabulary has some 300,000 strings: this loop is the whole load time, so it is spelled
        # out, and its bounds are checked once per string.
        data, size, offset = self.file.map, self.file.size, self.offset
        length_at = SCALARS[GGUFValueType.UINT64].unpack_from
        strings: list[str] = []
        add = strings.append
        try:
            for _ in range(count):
                start = offset + 8
                stop = start + length_at(data, offset)[0]
                if stop > size:
                    break
                add(data[start:stop].decode("utf-8", "surrogateescape"))
                offset = stop
        except struct.error:
            pass
        if len(strings) != count:
            raise self._fail(
                f"string {len(strings):,} of {count:,} in {key!r} passes the end of the file",
                offset,
            )
        self.offset = offset
        return strings

    def _set_alignment(self) -> None:
        value = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if type(value) is not int or value <= 0 or value & (value - 1):
            raise self._fail(
                f"general.alignment must be a power of two, not {value!r}", self.offset
            )
        self.alignment = value

    def _tensor_info(self) -> TensorInfo:
        at = self.offset
        name = self._name("a tensor name")
        what = f"tensor {name!r}"
        dims = self._dims(what)
        at_type = self.offset
        number = self._u32(f"the type of {what}")
        try:
            dtype = GGMLType(number)
        except ValueError as error:
            raise UnsupportedFormatError(
                self.file.path, f"{what} has unknown type {number}", offset=at_type
            ) from error
        shape = swap(dims)
        try:
            nbytes = tensor_nbytes(dtype, shape)
        except ValueError as error:
            raise self._fail(f"{what}: {error}", at) from error
        at_offset = self.offset
        offset = self._u64(f"the offset of {what}")
        if offset % self.alignment:
            raise self._fail(
                f"{what} lies at {offset:#x}, no multiple of the alignment {self.alignment}",
                at_offset,
            )
        return TensorInfo(name, name, shape, dtype, offset, nbytes)

    def _dims(self, what: str) -> tuple[int, ...]:
        at = self.offset
        count = self._u32(f"the rank of {what}")
        if count > MAX_DIMS:
            raise self._fail(f"{what} has {count} dimensions; up to {MAX_DIMS} are accepted", at)
        dims = tuple(self._u64(f"the dimensions of {what}") for _ in range(count))
        elements = 1
        for dim in dims:
            elements *= dim
        if elements > MAX_ELEMENTS:
            raise self._fail(f"{what} has impossible dimensions {list(dims)}", at)
        return dims

    def _place(self, infos: list[TensorInfo]) -> None:
        """Turn offsets into absolute ones and check names and extents."""
        self.data_offset = -(-self.offset // self.alignment) * self.alignment
        for info in infos:
            if info.name in self.tensors:
                raise self._fail(f"tensor {info.name!r} occurs twice", self.offset)
            self.tensors[info.name] = TensorInfo(
                info.name,
                info.file_name,
                info.shape,
                info.dtype,
                self.data_offset + info.offset,
                info.nbytes,
            )
        check_extents(self.file.path, list(self.tensors.values()), self.data_offset, self.file.size)
