"""Streaming writer of APR v2: tensors pass through in pieces, the old file stays until the end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from inference.errors import ModelFileError
from inference.formats import apr_layout as layout
from inference.formats.apr import AprFile
from inference.formats.apr_layout import Flag, Header
from inference.formats.jsonfile import dump_object
from inference.formats.staging import staged_file
from inference.formats.writing import TensorSource, checked_pieces
from inference.quant.types import is_quantized


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
    with staged_file(target) as temporary:
        with temporary.open("wb") as file:
            _write(file, target, head, ordered)
        with AprFile(temporary, verify=True) as written:
            if check is not None:
                check(written)


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
        nbytes = tensor.nbytes
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
        for piece in checked_pieces(target, tensor):
            file.write(piece)
            crc = zlib.crc32(piece, crc)
        padding = bytes(layout.aligned(tensor.nbytes) - tensor.nbytes)
        file.write(padding)
        crc = zlib.crc32(padding, crc)
    file.write(struct.pack("<I", crc))
