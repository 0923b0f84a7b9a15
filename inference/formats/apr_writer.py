"""Streaming writer of APR v2: tensors pass through in pieces, the old file stays until the end."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from inference.errors import ModelFileError
from inference.formats import apr_layout as layout
from inference.formats.apr import AprFile
from inference.formats.apr_layout import Flag, Header
from inference.formats.jsonfile import dump_object
from inference.formats.layout import tensor_nbytes
from inference.quant.types import TensorType, is_quantized

Pieces = Iterable[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class TensorSource:
    """A tensor to be written: ``name`` as the file shall have it, ``shape`` rows first.

    ``pieces`` yields the packed bytes in order, in pieces of any size.
    """

    name: str
    dtype: TensorType
    shape: tuple[int, ...]
    pieces: Callable[[], Pieces]


def write_apr(
    target: str | Path,
    metadata: Mapping[str, Any],
    tensors: Iterable[TensorSource],
    *,
    check: Callable[[AprFile], None] | None = None,
) -> None:
    """Write an APR v2 file in place of ``target``, which is replaced only by a verified file.

    ``check`` sees the new file, checksums already verified, before it takes its place. On any error
    or interruption the target is as it was and nothing is left beside it.
    """
    target = Path(target)
    ordered = sorted(tensors, key=lambda tensor: tensor.name.encode())
    head = _head(target, metadata, ordered)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise ModelFileError(target, f"cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, target, head, ordered)
            file.flush()
            os.fsync(file.fileno())
        written = AprFile(temporary, verify=True)
        try:
            if check is not None:
                check(written)
        finally:
            written.close()
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        _sync_directory(target.parent)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ModelFileError(target, f"cannot be written: {error.strerror or error}") from error
        raise


def _head(target: Path, metadata: Mapping[str, Any], tensors: Sequence[TensorSource]) -> bytes:
    """Return everything before the tensor data."""
    text = dict(metadata)
    flags = Flag.ROW_MAJOR
    if any(layout.is_extension(tensor.dtype) for tensor in tensors):
        text[layout.DTYPE_EXTENSION_KEY] = layout.DTYPE_EXTENSION
    if any(is_quantized(tensor.dtype) for tensor in tensors):
        flags |= Flag.QUANTIZED
    if "tokenizer" in text:
        flags |= Flag.HAS_VOCABULARY
    try:
        encoded = dump_object(text)
    except ValueError as error:
        raise ModelFileError(target, f"the metadata cannot be written: {error}") from error
    if len(encoded) > layout.MAX_METADATA:
        raise ModelFileError(
            target,
            f"metadata of {len(encoded):,} bytes; the format holds {layout.MAX_METADATA:,}",
        )
    index = b"".join(_index(target, tensors))
    index_offset = layout.aligned(layout.HEADER_SIZE + len(encoded))
    header = Header(
        flags=flags,
        tensor_count=len(tensors),
        metadata_size=len(encoded),
        index_offset=index_offset,
        data_offset=layout.aligned(index_offset + len(index)),
    )
    return _padded(header.pack() + encoded) + _padded(index)


def _padded(data: bytes) -> bytes:
    return data.ljust(layout.aligned(len(data)), b"\0")


def _index(target: Path, tensors: Sequence[TensorSource]) -> Iterator[bytes]:
    offset = 0
    before = b""
    for tensor in tensors:
        name = tensor.name.encode()
        if not 1 <= len(name) <= layout.MAX_NAME or name == before:
            raise ModelFileError(
                target, f"tensor name {tensor.name[:300]!r} is empty, too long or occurs twice"
            )
        before = name
        nbytes = tensor_nbytes(tensor.dtype, tensor.shape)
        yield struct.pack(
            f"<H{len(name)}sBB{len(tensor.shape)}QQQ",
            len(name),
            name,
            layout.dtype_id(tensor.dtype),
            len(tensor.shape),
            *tensor.shape,
            offset,
            nbytes,
        )
        offset = layout.aligned(offset + nbytes)


def _write(file: IO[bytes], target: Path, head: bytes, tensors: Sequence[TensorSource]) -> None:
    crc = zlib.crc32(head)
    file.write(head)
    for tensor in tensors:
        written = 0
        for piece in tensor.pieces():
            file.write(piece)
            crc = zlib.crc32(piece, crc)
            written += len(piece)
        nbytes = tensor_nbytes(tensor.dtype, tensor.shape)
        if written != nbytes:
            raise ModelFileError(
                target, f"tensor {tensor.name!r} came as {written:,} bytes, not {nbytes:,}"
            )
        padding = bytes(layout.aligned(nbytes) - nbytes)
        file.write(padding)
        crc = zlib.crc32(padding, crc)
    file.write(struct.pack("<I", crc))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
