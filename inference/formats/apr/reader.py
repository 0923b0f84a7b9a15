"""Reader of APR v2 model files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.apr import layout
from inference.formats.apr.compression import FLAGS, MAX_RATIO, expand
from inference.formats.apr.layout import Flag, Header
from inference.formats.base import TensorInfo
from inference.formats.jsonfile import parse_object
from inference.formats.layout import tensor_nbytes
from inference.formats.mapped import Closing, MappedFile, check_extents
from inference.formats.names import from_hf

_REFUSED: Mapping[Flag, str] = {
    Flag.ENCRYPTED: "encryption",
    Flag.COLUMN_MAJOR: "column-major layout",
}
_CRC_CHUNK = 1 << 24


class AprFile(Closing):
    """An open APR v2 file; ``metadata`` is its JSON object.

    Opening checks the header's checksum and every offset. ``verify`` reads the whole file and
    checks the footer's checksum; ``AprFile(path, verify=True)`` does both. Tensors of a compressed
    file are expanded when they are asked for, each time anew. One file of a set is refused unless
    ``shard`` says that it is wanted.
    """

    format = "apr"

    def __init__(self, path: str | Path, *, verify: bool = False, shard: bool = False) -> None:
        self.path = Path(path)
        self._file = MappedFile(self.path)
        try:
            self.header = self._header()
            if self.sharded and not shard:
                raise UnsupportedFormatError(
                    self.path, "is one file of a set; open the directory it lies in", offset=6
                )
            self._stored: dict[str, int] = {}
            self.metadata: Mapping[str, Any] = self._metadata()
            self.tensors: Mapping[str, TensorInfo] = self._index()
            if verify:
                self.verify()
        except BaseException:
            self._file.close()
            raise

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the packed bytes of a tensor, shape [nbytes], read-only: a view, or expanded.

        ``ModelFileError`` when a compressed tensor is damaged or is not of its size.
        """
        info = self.tensors[name]
        stored = self._file.view(info.offset, self._stored[info.file_name])
        if self.compression is None or stored.size == info.nbytes:
            return stored
        try:
            return expand(stored, self.compression, info.nbytes)
        except ValueError as error:
            raise self._fail(f"tensor {info.file_name!r}: {error}", info.offset) from error

    @property
    def compression(self) -> Flag | None:
        """How tensors are compressed that are."""
        return next((flag for flag in FLAGS.values() if self.header.flags & flag), None)

    @property
    def sharded(self) -> bool:
        """Tell whether the file is one of a set."""
        return bool(self.header.flags & Flag.SHARDED)

    def close(self) -> None:
        """Release the memory map."""
        self._file.close()

    def verify(self) -> None:
        """Check the CRC-32 of the whole file; ``ModelFileError`` when it does not match."""
        end = self._file.size - layout.FOOTER_SIZE
        crc = 0
        for offset in range(0, end, _CRC_CHUNK):
            crc = zlib.crc32(self._file.view(offset, min(_CRC_CHUNK, end - offset)).data, crc)
        (stored,) = struct.unpack("<I", self._file.read(end, layout.FOOTER_SIZE, "the footer"))
        if crc != stored:
            raise self._fail(
                f"the file is damaged: its CRC-32 is {crc:08x}, the footer says {stored:08x}", end
            )

    def _fail(self, message: str, offset: int) -> ModelFileError:
        return ModelFileError(self.path, message, offset=offset)

    def _header(self) -> Header:
        magic = self._file.read(0, 4, "the magic")
        if magic in layout.OLD_MAGICS:
            raise UnsupportedFormatError(
                self.path, f"is of the old kind {magic.decode()}; import the model again", offset=0
            )
        if magic != layout.MAGIC:
            raise UnsupportedFormatError(
                self.path, f"is not an APR file: it begins with {magic!r}", offset=0
            )
        data = self._file.read(0, layout.HEADER_SIZE, "the header")
        header = Header.unpack(data)
        if header.version[0] != layout.VERSION[0]:
            raise UnsupportedFormatError(
                self.path, f"APR version {header.version[0]} is not supported; 2 is", offset=4
            )
        crc = layout.header_crc(data)
        if crc != header.crc:
            raise self._fail(
                f"the header is damaged: its CRC-32 is {crc:08x}, not {header.crc:08x}", 40
            )
        for flag, what in _REFUSED.items():
            if header.flags & flag:
                raise UnsupportedFormatError(self.path, f"{what} is not supported", offset=6)
        if header.flags & Flag.LZ4 and header.flags & Flag.ZSTD:
            raise self._fail("both LZ4 and Zstandard are flagged", 6)
        unknown = header.flags & ~sum(Flag)
        if unknown:
            raise UnsupportedFormatError(self.path, f"unknown flags {unknown:#x}", offset=6)
        self._check_sections(header)
        return header

    def _check_sections(self, header: Header) -> None:
        if header.metadata_offset != layout.HEADER_SIZE:
            raise self._fail(f"metadata begin at {header.metadata_offset:#x}, not at 0x40", 12)
        if header.metadata_size > layout.MAX_METADATA:
            raise self._fail(
                f"metadata of {header.metadata_size:,} bytes; at most "
                f"{layout.MAX_METADATA:,} are accepted",
                20,
            )
        metadata_end = header.metadata_offset + header.metadata_size
        if header.index_offset != layout.aligned(metadata_end):
            raise self._fail(
                f"the tensor index begins at {header.index_offset:#x}; metadata end at "
                f"{metadata_end:#x}",
                24,
            )
        room = header.data_offset - header.index_offset
        if (
            header.data_offset % layout.ALIGNMENT
            or room < 0
            or header.data_offset > self._file.size - layout.FOOTER_SIZE
        ):
            raise self._fail(
                f"the data section begins at {header.data_offset:#x}; the index begins at "
                f"{header.index_offset:#x}, the file ends at {self._file.size:#x}",
                32,
            )
        count = header.tensor_count
        if count > layout.MAX_TENSORS:
            raise self._fail(f"{count:,} tensors; at most {layout.MAX_TENSORS:,} are accepted", 8)
        if not count * layout.MIN_ENTRY <= room <= layout.aligned(count * layout.MAX_ENTRY):
            raise self._fail(f"{count:,} tensors do not make an index of {room:,} bytes", 8)

    def _metadata(self) -> dict[str, Any]:
        offset = self.header.metadata_offset
        data = self._file.read(offset, self.header.metadata_size, "the metadata")
        return parse_object(data, self.path, "the metadata", offset=offset)

    def _index(self) -> dict[str, TensorInfo]:
        architecture = str(self.metadata.get("architecture"))
        tensors: dict[str, TensorInfo] = {}
        before = b""
        for at, encoded, info in self._entries():
            if encoded <= before:
                raise self._fail(
                    f"tensor {info.file_name!r} occurs twice or out of order in the index", at
                )
            before = encoded
            name = from_hf(info.file_name, architecture)
            if name in tensors:
                raise self._fail(f"tensor {name!r} occurs twice under different names", at)
            tensors[name] = TensorInfo(
                name, info.file_name, info.shape, info.dtype, info.offset, info.nbytes
            )
        infos = [replace(info, nbytes=self._stored[info.file_name]) for info in tensors.values()]
        footer = self._file.size - layout.FOOTER_SIZE
        check_extents(self.path, infos, self.header.data_offset, footer)
        end = max((info.offset + info.nbytes for info in infos), default=self.header.data_offset)
        if layout.aligned(end) != footer:
            raise self._fail(
                f"tensor data end at {layout.aligned(end):#x}, but the footer is at {footer:#x}",
                footer,
            )
        return tensors

    def _entries(self) -> Iterator[tuple[int, bytes, TensorInfo]]:
        """Yield each entry's offset, its name as bytes, and its tensor under the file's name."""
        start, stop = self.header.index_offset, self.header.data_offset
        index = self._file.read(start, stop - start, "the tensor index")
        at = 0
        for _ in range(self.header.tensor_count):
            begin = at
            try:
                (length,) = struct.unpack_from("<H", index, at)
                encoded = index[at + 2 : at + 2 + length]
                at += 2 + length
                dtype, ndim = struct.unpack_from("<BB", index, at)
                dims = struct.unpack_from(f"<{ndim}Q", index, at + 2)
                offset, nbytes = struct.unpack_from("<QQ", index, at + 2 + 8 * ndim)
                at += 2 + 8 * ndim + 16
            except struct.error as error:
                raise self._fail("the tensor index is truncated", start + begin) from error
            yield (
                start + begin,
                encoded,
                self._info(start + begin, encoded, dtype, dims, offset, nbytes),
            )
        if layout.aligned(start + at) != stop:
            raise self._fail(
                f"the tensor index ends at {start + at:#x}, but the data begin at {stop:#x}",
                start + at,
            )

    def _info(
        self, at: int, encoded: bytes, number: int, dims: tuple[int, ...], offset: int, nbytes: int
    ) -> TensorInfo:
        try:
            name = encoded.decode()
        except UnicodeDecodeError as error:
            raise self._fail(f"tensor name {encoded[:64]!r} is not UTF-8", at) from error
        if not 1 <= len(encoded) <= layout.MAX_NAME:
            raise self._fail(f"tensor name of {len(encoded)} bytes", at)
        dtype = layout.dtype_of(number)
        if dtype is None:
            known = layout.UNSUPPORTED_DTYPES.get(number, "unknown")
            raise UnsupportedFormatError(
                self.path, f"tensor {name!r} has element type {number} ({known})", offset=at
            )
        announced = self.metadata.get(layout.DTYPE_EXTENSION_KEY)
        if layout.is_extension(dtype) and announced != layout.DTYPE_EXTENSION:
            raise self._fail(
                f"tensor {name!r} has element type {number}, but the metadata do not announce "
                f"{layout.DTYPE_EXTENSION_KEY}: {layout.DTYPE_EXTENSION!r}",
                at,
            )
        if not 1 <= len(dims) <= layout.MAX_DIMS or not 0 < prod(dims) < 1 << 63:
            raise self._fail(f"tensor {name!r} has impossible dimensions {list(dims)}", at)
        try:
            needed = tensor_nbytes(dtype, dims)
        except ValueError as error:
            raise self._fail(f"tensor {name!r}: {error}", at) from error
        what = f"tensor {name!r}: {dtype.name} of shape {list(dims)}"
        self._check_size(at, what, needed, nbytes)
        if offset % layout.ALIGNMENT:
            raise self._fail(f"tensor {name!r} lies at {offset:#x}, no multiple of 64", at)
        self._stored[name] = nbytes
        return TensorInfo(name, name, dims, dtype, self.header.data_offset + offset, needed)

    def _check_size(self, at: int, what: str, needed: int, stored: int) -> None:
        """Refuse a stored size that is not the tensor's, or that would grow beyond measure."""
        if stored == needed:
            return
        if self.compression is None:
            raise self._fail(f"{what} takes {needed:,} bytes, not {stored:,}", at)
        if not stored < needed <= MAX_RATIO * stored:
            raise self._fail(
                f"{what} claims to expand from {stored:,} to {needed:,} bytes; "
                f"{MAX_RATIO} times its size is the most that is accepted",
                at,
            )
