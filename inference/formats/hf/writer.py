"""Streaming writer of Hugging Face directories: safetensors, one file or shards with an index."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.errors import InputError, ModelFileError
from inference.formats.hf.reader import INDEX, SINGLE, HfDirectory
from inference.formats.hf.safetensors import DTYPES, MAX_HEADER
from inference.formats.jsonfile import dump_object
from inference.formats.writing import TensorSource, checked_pieces, refuse_duplicates
from inference.quant.types import TensorType
from inference.staging import staged_directory

_NAMES: Mapping[TensorType, str] = {dtype: name for name, dtype in DTYPES.items()}
SAFETENSORS_TYPES = frozenset(_NAMES)
"""The element types that safetensors files hold."""

_ALIGNMENT = 8


def write_hf_directory(
    target: str | Path,
    files: Mapping[str, Mapping[str, Any]],
    tensors: Iterable[TensorSource],
    *,
    max_shard_size: int | None = None,
    check: Callable[[HfDirectory], None] | None = None,
) -> None:
    """Write a Hugging Face directory, which appears only when it reads back.

    ``files`` maps names to JSON objects; ``config.json`` must be among them. No shard but one of a
    single tensor is larger than ``max_shard_size`` bytes. ``check`` sees the new directory before
    it takes its place.

    Raises:
        ModelFileError: the target is a directory with something in it, or a tensor does not fit.
        InputError: a shard size that is not positive.
    """
    target = Path(target)
    ordered = list(tensors)
    refuse_duplicates(target, (tensor.name for tensor in ordered))
    shards = split(ordered, max_shard_size)
    with staged_directory(target) as temporary:
        for name, document in files.items():
            (temporary / name).write_bytes(dump_object(document, indent=2))
        weight_map: dict[str, str] = {}
        for number, shard in enumerate(shards, start=1):
            name = SINGLE if len(shards) == 1 else _shard_name(number, len(shards))
            _write_safetensors(temporary / name, target, shard)
            weight_map |= {tensor.name: name for tensor in shard}
        if len(shards) > 1:
            total = sum(tensor.nbytes for tensor in ordered)
            index = {"metadata": {"total_size": total}, "weight_map": weight_map}
            (temporary / INDEX).write_bytes(dump_object(index, indent=2))
        with HfDirectory(temporary) as written:
            if check is not None:
                check(written)


def split(tensors: Sequence[TensorSource], limit: int | None) -> list[list[TensorSource]]:
    """Cut tensors, in their order, into runs of at most ``limit`` bytes; one run without limit.

    A tensor that is larger than the limit is alone in its run.
    """
    if limit is None:
        return [list(tensors)]
    if limit <= 0:
        raise InputError(f"the size of a shard must be positive, not {limit}")
    shards: list[list[TensorSource]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.nbytes
    return shards


def _shard_name(number: int, count: int) -> str:
    return f"model-{number:05}-of-{count:05}.safetensors"


def _write_safetensors(path: Path, target: Path, tensors: Sequence[TensorSource]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    header |= dict(_entries(target, tensors))
    text = dump_object(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise ModelFileError(target, f"the tensors' names and shapes take {len(text):,} bytes")
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            for piece in checked_pieces(target, tensor):
                file.write(piece)


def _entries(target: Path, tensors: Sequence[TensorSource]) -> Iterator[tuple[str, Any]]:
    offset = 0
    for tensor in tensors:
        dtype = _NAMES.get(tensor.dtype)
        if dtype is None:
            raise ModelFileError(
                target, f"tensor {tensor.name!r}: safetensors has no {tensor.dtype.name}"
            )
        end = offset + tensor.nbytes
        yield (
            tensor.name,
            {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]},
        )
        offset = end
