"""APR models in several files: a directory whose files say that they belong together.

Every file is a whole APR file with the flag ``SHARDED`` and a ``sharding`` section: how many there
are, which one it is (from 0), the bytes of all tensors, how the names are made, and a digest of the
set. The first file carries the metadata of the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.apr.compression import Compression
from inference.formats.apr.layout import Flag
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_one
from inference.formats.base import TensorInfo
from inference.formats.hf.writer import split
from inference.formats.mapped import Closing
from inference.formats.writing import TensorSource, refuse_duplicates
from inference.staging import staged_directory

MAX_SHARDS = 99_999
PATTERN = "model-{index}-of-{count}.apr"
"""Names of the files; both numbers have five digits, the index counts from 1."""

_SECTION = "sharding"
_SHARED = ("architecture", "model_type")


class AprShards(Closing):
    """An open set of APR files; ``metadata`` is that of the model, without the shards' own.

    The offset of a tensor counts from the start of the file that holds it.
    """

    format = "apr"

    def __init__(self, path: str | Path, *, verify: bool = False) -> None:
        self.path = Path(path)
        self._files: list[AprFile] = []
        self._file_of: dict[str, AprFile] = {}
        try:
            first = AprFile(self._first(), verify=verify, shard=True)
            self._files.append(first)
            section, count = self._section(first, 0)
            for number in range(1, count):
                file = AprFile(self.path / shard_name(number, count), verify=verify, shard=True)
                self._files.append(file)
                if self._section(file, number)[0] != section:
                    raise ModelFileError(file.path, f"is not of the set of {first.path.name}")
            self.tensors: Mapping[str, TensorInfo] = self._merged(section)
        except BaseException:
            self.close()
            raise
        self.metadata: Mapping[str, Any] = {
            key: value for key, value in first.metadata.items() if key != _SECTION
        }

    def _first(self) -> Path:
        found = sorted(self.path.glob(f"*-{1:05}-of-*.apr"))
        if len(found) != 1:
            raise UnsupportedFormatError(
                self.path, f"holds {len(found)} first files of an APR set; one is needed"
            )
        return found[0]

    def _section(self, file: AprFile, number: int) -> tuple[dict[str, Any], int]:
        """Return what all files of the set must say alike, and how many files there are."""
        section = file.metadata.get(_SECTION)
        if not isinstance(section, dict) or not file.sharded:
            raise ModelFileError(file.path, f"has no {_SECTION!r} metadata, so it is of no set")
        count, index = section.get("shard_count"), section.get("shard_index")
        if type(count) is not int or not 1 <= count <= MAX_SHARDS or index != number:
            raise ModelFileError(
                file.path,
                f"says that it is file {str(index)[:20]} of {str(count)[:20]}, not {number}",
            )
        if section.get("pattern") != PATTERN or file.path.name != shard_name(number, count):
            raise UnsupportedFormatError(
                file.path, f"its set has names like {str(section.get('pattern'))[:80]!r}"
            )
        return {key: value for key, value in section.items() if key != "shard_index"}, count

    def _merged(self, section: Mapping[str, Any]) -> dict[str, TensorInfo]:
        tensors: dict[str, TensorInfo] = {}
        for file in self._files:
            for name, info in file.tensors.items():
                if name in tensors:
                    raise ModelFileError(file.path, f"tensor {name!r} occurs twice in the set")
                tensors[name] = info
                self._file_of[name] = file
        if section.get("set") != _digest(tensors.values()):
            raise ModelFileError(self.path, "the tensors are not those that the set was made of")
        return tensors

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the packed bytes of a tensor, shape [nbytes], read-only."""
        return self._file_of[name].raw(name)

    def close(self) -> None:
        """Release the memory maps."""
        for file in self._files:
            file.close()


def shard_name(number: int, count: int) -> str:
    """Return the name of file ``number``, from 0, of ``count``."""
    return PATTERN.replace("{index}", f"{number + 1:05}").replace("{count}", f"{count:05}")


def write_apr_shards(
    target: str | Path,
    metadata: Mapping[str, Any],
    tensors: Iterable[TensorSource],
    *,
    max_shard_size: int,
    compression: Compression | None = None,
    check: Callable[[AprShards], None] | None = None,
) -> None:
    """Write a directory of APR files, which appears only when all of it reads back.

    No file has more than ``max_shard_size`` bytes of tensors, before compression, unless a single
    tensor has. ``check`` sees the new directory before it takes its place. ``ModelFileError`` when
    the target holds something already.
    """
    target = Path(target)
    ordered = sorted(tensors, key=lambda tensor: tensor.name.encode())
    refuse_duplicates(target, (tensor.name for tensor in ordered))
    shards = split(ordered, max_shard_size)
    if len(shards) > MAX_SHARDS:
        raise ModelFileError(target, f"would be {len(shards):,} files; name a larger size")
    section = {
        "shard_count": len(shards),
        "total_size": sum(tensor.nbytes for tensor in ordered),
        "pattern": PATTERN,
        "set": _digest(ordered),
    }
    shared = {key: metadata[key] for key in _SHARED if key in metadata}
    with staged_directory(target) as temporary:
        for number, shard in enumerate(shards):
            said = {
                **(metadata if number == 0 else shared),
                _SECTION: {**section, "shard_index": number},
            }
            path = temporary / shard_name(number, len(shards))
            write_one(path, target, said, shard, compression=compression, flags=Flag.SHARDED)
        with AprShards(temporary, verify=True) as written:
            if check is not None:
                check(written)


def _digest(tensors: Iterable[TensorSource | TensorInfo]) -> str:
    """Return a SHA-256 over names, types and shapes: files of two models must not mix."""
    lines = sorted(
        f"{tensor.file_name if isinstance(tensor, TensorInfo) else tensor.name}\0"
        f"{tensor.dtype.name}\0{list(tensor.shape)}"
        for tensor in tensors
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
