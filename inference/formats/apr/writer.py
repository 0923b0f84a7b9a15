"""Streaming writer of APR v2: tensors pass through in pieces, the old file stays until the end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from inference.errors import ModelFileError
from inference.formats.apr import layout
from inference.formats.apr.compression import FLAGS, MAX_RATIO, Compression, packer
from inference.formats.apr.layout import Flag, Header
from inference.formats.apr.reader import AprFile
from inference.formats.jsonfile import dump_object
from inference.formats.writing import TensorSource, checked_pieces
from inference.quant.types import is_quantized
from inference.staging import staged_file

_PIECE = 1 << 22
_NO_FLAGS = Flag(0)


def write_apr(
    target: str | Path,
    metadata: Mapping[str, Any],
    tensors: Iterable[TensorSource],
    *,
    compression: Compression | None = None,
    check: Callable[[AprFile], None] | None = None,
) -> None:
    """Write an APR v2 file in place of ``target``, which is replaced only by a verified file.

    With ``compression`` every tensor that shrinks is one frame; the rest lie as they are. ``check``
    sees the new file, checksums already verified, before it takes its place. On any error or
    interruption the target is as it was and nothing is left beside it.
    """
    target = Path(target)
    with staged_file(target) as temporary:
        write_one(temporary, target, metadata, tensors, compression=compression)
        with AprFile(temporary, verify=True) as written:
            if check is not None:
                check(written)


def write_one(
    path: Path,
    target: Path,
    metadata: Mapping[str, Any],
    tensors: Iterable[TensorSource],
    *,
    compression: Compression | None = None,
    flags: Flag = _NO_FLAGS,
) -> None:
    """Write one file at ``path``, to be ``target`` for the reader of an error."""
    ordered = sorted(tensors, key=lambda tensor: tensor.name.encode())
    if compression is not None:
        flags |= FLAGS[compression]
    plain = [tensor.nbytes for tensor in ordered]
    head = _head(target, metadata, ordered, plain, flags)
    with path.open("w+b") as file:
        file.write(head)
        if compression is None:
            crc = _write(file, target, zlib.crc32(head), ordered)
        else:
            stored = [_store(file, target, tensor, compression) for tensor in ordered]
            file.seek(0)
            file.write(_head(target, metadata, ordered, stored, flags))
            crc = _crc_of(file)
        file.write(struct.pack("<I", crc))


def _head(
    target: Path,
    metadata: Mapping[str, Any],
    tensors: Sequence[TensorSource],
    sizes: Sequence[int],
    flags: Flag,
) -> bytes:
    """Return everything before the tensor data; ``sizes`` are those in the file."""
    text = dict(metadata)
    flags |= Flag.ROW_MAJOR
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
    index = b"".join(_index(target, tensors, sizes))
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


def _index(target: Path, tensors: Sequence[TensorSource], sizes: Sequence[int]) -> Iterator[bytes]:
    offset = 0
    before = b""
    for tensor, nbytes in zip(tensors, sizes, strict=True):
        name = tensor.name.encode()
        if not 1 <= len(name) <= layout.MAX_NAME or name == before:
            raise ModelFileError(
                target, f"tensor name {tensor.name[:300]!r} is empty, too long or occurs twice"
            )
        before = name
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


def _write(file: IO[bytes], target: Path, crc: int, tensors: Sequence[TensorSource]) -> int:
    """Write the data of all tensors as they are; return the checksum of the file so far."""
    for tensor in tensors:
        for piece in checked_pieces(target, tensor):
            file.write(piece)
            crc = zlib.crc32(piece, crc)
        padding = bytes(layout.aligned(tensor.nbytes) - tensor.nbytes)
        file.write(padding)
        crc = zlib.crc32(padding, crc)
    return crc


def _store(file: IO[bytes], target: Path, tensor: TensorSource, compression: Compression) -> int:
    """Write a tensor compressed, or as it is where that does not pay; return its size there."""
    start, frame = file.tell(), packer(compression)
    for piece in checked_pieces(target, tensor):
        file.write(frame.compress(piece))
    file.write(frame.flush())
    stored = file.tell() - start
    if not stored < tensor.nbytes <= MAX_RATIO * stored:
        file.seek(start)
        file.truncate()
        for piece in checked_pieces(target, tensor):
            file.write(piece)
        stored = tensor.nbytes
    file.write(bytes(layout.aligned(stored) - stored))
    return stored


def _crc_of(file: IO[bytes]) -> int:
    """Return the checksum of a file that was not written from front to back; go to its end."""
    file.seek(0)
    crc = 0
    while piece := file.read(_PIECE):
        crc = zlib.crc32(piece, crc)
    return crc
