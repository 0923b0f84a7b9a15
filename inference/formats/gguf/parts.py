"""GGUF models in several files, as llama.cpp's ``llama-gguf-split`` cuts them.

Every part is a whole GGUF file that says which one it is (``split.no``, from 0), how many there are
(``split.count``) and how many tensors they have together (``split.tensors.count``). The first has
the metadata of the model. Names are ``NAME-00001-of-00003.gguf``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError
from inference.formats.base import TensorInfo
from inference.formats.gguf.reader import GgufFile

MAX_PARTS = 99_999
_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)
_OURS = "split."


def open_gguf(path: Path) -> GgufFile:
    """Open a GGUF file, or all parts of the model that it is one of."""
    file = GgufFile(path)
    try:
        count = file.metadata.get("split.count", 1)
        if type(count) is not int or not 0 <= count <= MAX_PARTS:
            raise ModelFileError(path, f"says that it is one of {str(count)[:20]} parts")
        return file if count <= 1 else GgufParts(file, count)
    except BaseException:
        file.close()
        raise


class GgufParts(GgufFile):
    """An open GGUF model of several files; ``path`` is the one that was asked for.

    The offset of a tensor counts from the start of the part that holds it.
    """

    def __init__(self, asked: GgufFile, count: int) -> None:
        self.path = asked.path
        self._parts: list[GgufFile] = []
        self._part_of: dict[str, GgufFile] = {}
        number = asked.metadata.get("split.no")
        try:
            for index in range(count):
                part = asked if index == number else GgufFile(self._beside(index, count))
                self._parts.append(part)
                self._check(part, index, count)
            if asked not in self._parts:
                raise ModelFileError(self.path, f"says that it is part {number!r} of {count}")
            self.tensors: Mapping[str, TensorInfo] = self._merged()
        except BaseException:
            self.close()
            raise
        first = self._parts[0]
        self.version, self.alignment = first.version, first.alignment
        self.data_offset = first.data_offset
        self.metadata: Mapping[str, Any] = _without_split(first.metadata)
        self.metadata_types = _without_split(first.metadata_types)

    def _beside(self, index: int, count: int) -> Path:
        found = _NAME.fullmatch(self.path.name)
        if found is None or int(found[3]) != count:
            raise ModelFileError(
                self.path,
                f"is one of {count} parts; without a name like model-00001-of-{count:05}.gguf "
                "the others cannot be found",
            )
        path = self.path.with_name(f"{found[1]}-{index + 1:05}-of-{count:05}.gguf")
        if not path.is_file():
            raise ModelFileError(path, f"is missing, part {index + 1} of {count} of this model")
        return path

    def _check(self, part: GgufFile, index: int, count: int) -> None:
        said = part.metadata.get("split.no"), part.metadata.get("split.count")
        if said != (index, count):
            raise ModelFileError(
                part.path, f"says that it is part {said[0]!r} (from 0) of {said[1]!r}"
            )

    def _merged(self) -> dict[str, TensorInfo]:
        tensors: dict[str, TensorInfo] = {}
        for part in self._parts:
            for name, info in part.tensors.items():
                if name in tensors:
                    raise ModelFileError(part.path, f"tensor {name!r} occurs in two parts")
                tensors[name] = info
                self._part_of[name] = part
        stated = self._parts[0].metadata.get("split.tensors.count", len(tensors))
        if stated != len(tensors):
            raise ModelFileError(
                self.path, f"its parts have {len(tensors):,} tensors, not {str(stated)[:20]}"
            )
        return tensors

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the packed bytes of a tensor, shape [nbytes], as a read-only view."""
        return self._part_of[name].raw(name)

    def close(self) -> None:
        """Release the memory maps."""
        for part in self._parts:
            part.close()


def _without_split(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if not key.startswith(_OURS)}
