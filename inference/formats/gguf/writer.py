"""Streaming writer of GGUF version 3, little-endian (ggml's docs/gguf.md).

The ``gguf`` package has a writer too; it takes whole tensors in memory and strings that are valid
UTF-8, where files in the wild have others. Tests read the result with that package's reader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from gguf.constants import GGUFValueType

from inference.errors import ModelFileError
from inference.formats.gguf.reader import MAGIC, MAX_DIMS, MAX_NAME, SCALARS, GgufFile
from inference.formats.layout import swap
from inference.formats.writing import TensorSource, checked_pieces, refuse_duplicates
from inference.quant.types import AprType
from inference.staging import staged_file

VERSION = 3

Types = Mapping[str, tuple[GGUFValueType, ...]]


def write_gguf(
    target: str | Path,
    metadata: Mapping[str, Any],
    types: Types,
    tensors: Iterable[TensorSource],
    *,
    alignment: int = 32,
    check: Callable[[GgufFile], None] | None = None,
) -> None:
    """Write a GGUF file in place of ``target``, which is replaced only by a file that reads back.

    ``types`` holds the type of every value, ``(ARRAY, element type)`` for lists. ``check`` sees the
    new file before it takes its place. ``ModelFileError`` for what the format cannot hold; on any
    error or interruption the target is as it was.
    """
    target = Path(target)
    ordered = list(tensors)
    refuse_duplicates(target, (tensor.name for tensor in ordered))
    head = _head(target, metadata, types, ordered, alignment)
    with staged_file(target) as temporary:
        with temporary.open("wb") as file:
            file.write(head)
            for tensor in ordered:
                for piece in checked_pieces(target, tensor):
                    file.write(piece)
                _pad(file, alignment)
        with GgufFile(temporary) as written:
            if check is not None:
                check(written)


def _pad(file: IO[bytes], alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _head(
    target: Path,
    metadata: Mapping[str, Any],
    types: Types,
    tensors: Sequence[TensorSource],
    alignment: int,
) -> bytes:
    """Return header, metadata and tensor table, padded to where the data begin."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        try:
            parts += [_text(key), _value(value, *types[key])]
        except (struct.error, OverflowError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(
                target, f"metadata key {key[:80]!r} cannot be written as {types[key]}: {error}"
            ) from error
    offset = 0
    for tensor in tensors:
        parts.append(_entry(target, tensor, offset))
        offset += tensor.nbytes + -tensor.nbytes % alignment
    head = b"".join(parts)
    return head + bytes(-len(head) % alignment)


def _entry(target: Path, tensor: TensorSource, offset: int) -> bytes:
    name = tensor.name.encode()
    if isinstance(tensor.dtype, AprType):
        raise ModelFileError(target, f"tensor {tensor.name!r}: GGUF has no {tensor.dtype.name}")
    if len(name) > MAX_NAME or not 1 <= len(tensor.shape) <= MAX_DIMS:
        raise ModelFileError(
            target, f"tensor {tensor.name[:80]!r} of shape {list(tensor.shape)} does not fit GGUF"
        )
    count = len(tensor.shape)
    return _text(tensor.name) + struct.pack(
        f"<I{count}QIQ", count, *swap(tensor.shape), tensor.dtype.value, offset
    )


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _value(value: Any, kind: GGUFValueType, element: GGUFValueType | None = None) -> bytes:
    """Return the type of a value and the value."""
    number = struct.pack("<I", kind)
    if kind == GGUFValueType.STRING:
        return number + _text(value)
    if element is None:
        return number + SCALARS[kind].pack(value)
    number += struct.pack("<IQ", element, len(value))
    if element == GGUFValueType.STRING:
        return number + b"".join(map(_text, value))
    return number + np.asarray(value, SCALARS[element].format).tobytes()
