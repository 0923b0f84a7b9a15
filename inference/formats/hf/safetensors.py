"""Reader of one safetensors file: 8 bytes of length, a JSON header, then the tensors' bytes.

Follows the safetensors format description; the header is checked as strictly as its reference
implementation checks it (no holes, no overlaps, no duplicate names).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.layout import tensor_nbytes
from inference.formats.mapped import MappedFile
from inference.quant.types import GGMLType

MAX_HEADER = 100_000_000
MAX_DIMS = 8
DTYPES: Mapping[str, GGMLType] = {
    "F64": GGMLType.F64,
    "F32": GGMLType.F32,
    "F16": GGMLType.F16,
    "BF16": GGMLType.BF16,
    "I64": GGMLType.I64,
    "I32": GGMLType.I32,
    "I16": GGMLType.I16,
    "I8": GGMLType.I8,
}


def read_safetensors(path: Path) -> tuple[MappedFile, list[TensorInfo]]:
    """Map a safetensors file and return it with its tensors, in the order of their data.

    Names are the file's own. ``ModelFileError`` when the file is damaged,
    ``UnsupportedFormatError`` for element types that the engine does not read.
    """
    file = MappedFile(path)
    try:
        return file, _parse(file)
    except BaseException:
        file.close()
        raise


def _parse(file: MappedFile) -> list[TensorInfo]:
    (length,) = struct.unpack("<Q", file.read(0, 8, "the header length"))
    if length > MAX_HEADER:
        raise ModelFileError(file.path, f"the header claims {length:,} bytes", offset=0)
    try:
        header = json.loads(
            file.read(8, length, "the header").decode(), object_pairs_hook=_unique_keys
        )
    except (ValueError, RecursionError) as error:
        raise ModelFileError(file.path, f"bad header: {error}", offset=8) from error
    if not isinstance(header, dict):
        raise ModelFileError(file.path, "the header is not a JSON object", offset=8)
    header.pop("__metadata__", None)
    start = 8 + length
    infos = [_tensor(file.path, name, entry, start) for name, entry in header.items()]
    infos.sort(key=lambda info: (info.offset, info.nbytes))
    end = start
    for info in infos:
        if info.offset != end:
            raise ModelFileError(
                file.path,
                f"tensor {info.name!r} begins at {info.offset:#x}; the one before ends at {end:#x}",
                offset=end,
            )
        end += info.nbytes
    if end != file.size:
        raise ModelFileError(
            file.path, f"tensors end at {end:#x}, the file at {file.size:#x}", offset=file.size
        )
    return infos


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _tensor(path: Path, name: str, entry: Any, start: int) -> TensorInfo:
    def fail(message: str) -> ModelFileError:
        return ModelFileError(path, f"tensor {name[:80]!r}: {message}", offset=8)

    if not isinstance(entry, dict):
        raise fail("its entry is not a JSON object")
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    extent: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise UnsupportedFormatError(
            path,
            f"tensor {name[:80]!r} has element type {str(dtype)[:20]!r}; "
            f"{', '.join(DTYPES)} are read",
            offset=8,
        )
    if not _sizes(shape) or len(shape) > MAX_DIMS or not prod(shape) < 1 << 63:
        raise fail(f"bad shape {str(shape)[:80]}")
    if not _sizes(extent) or len(extent) != 2 or extent[0] > extent[1]:
        raise fail(f"bad data_offsets {str(extent)[:80]}")
    nbytes = tensor_nbytes(DTYPES[dtype], shape)
    if extent[1] - extent[0] != nbytes:
        raise fail(
            f"{dtype} of shape {shape} takes {nbytes:,} bytes, not {extent[1] - extent[0]:,}"
        )
    return TensorInfo(name, name, tuple(shape), DTYPES[dtype], start + extent[0], nbytes)


def _sizes(value: Any) -> bool:
    """Tell whether ``value`` is a list of integers that a file offset can hold."""
    return isinstance(value, list) and all(
        type(number) is int and 0 <= number < 1 << 63 for number in value
    )
