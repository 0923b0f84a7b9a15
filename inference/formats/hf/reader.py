"""Hugging Face directories: config.json beside one or several safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.hf.safetensors import read_safetensors
from inference.formats.jsonfile import read_object
from inference.formats.mapped import Closing
from inference.formats.names import from_hf
from inference.model.architectures import architecture_of_model_type

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class HfDirectory(Closing):
    """An open Hugging Face directory; ``metadata`` is its config.json.

    The offset of a tensor counts from the start of the shard that holds it.
    """

    format = "hf"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise UnsupportedFormatError(
                self.path, "is a directory without config.json, so no Hugging Face model"
            )
        self.metadata: Mapping[str, Any] = read_object(self.path / "config.json")
        self.shards = self._shards()
        tensors: dict[str, TensorInfo] = {}
        self._shard_of: dict[str, int] = {}
        self._files = []
        try:
            for number, (shard, expected) in enumerate(self.shards):
                file, infos = read_safetensors(self.path / shard)
                self._files.append(file)
                self._check_listed(shard, expected, {info.file_name for info in infos})
                self._add(number, shard, infos, tensors)
        except BaseException:
            self.close()
            raise
        self.tensors: Mapping[str, TensorInfo] = tensors

    def _shards(self) -> list[tuple[str, set[str] | None]]:
        """Return the names of the shards, each with the tensors that the index places in it."""
        index = self.path / INDEX
        if not index.is_file():
            if not (self.path / SINGLE).is_file():
                raise ModelFileError(self.path, f"has neither {SINGLE} nor {INDEX}")
            return [(SINGLE, None)]
        weight_map = read_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelFileError(index, "has no weight_map")
        shards: dict[str, set[str]] = {}
        for tensor, shard in weight_map.items():
            if (
                not isinstance(shard, str)
                or Path(shard).name != shard
                or not shard.endswith(".safetensors")
            ):
                raise ModelFileError(index, f"names {str(shard)[:80]!r}, no safetensors file here")
            shards.setdefault(shard, set()).add(tensor)
        return sorted(shards.items())

    def _check_listed(self, shard: str, expected: set[str] | None, found: set[str]) -> None:
        if expected is not None and expected != found:
            odd = min(expected ^ found)
            raise ModelFileError(
                self.path / shard, f"the index and the shard disagree about tensor {odd!r}"
            )

    def _add(
        self, number: int, shard: str, infos: list[TensorInfo], tensors: dict[str, TensorInfo]
    ) -> None:
        architecture = architecture_of_model_type(str(self.metadata.get("model_type")))
        for info in infos:
            name = from_hf(info.file_name, architecture)
            if name in tensors:
                raise ModelFileError(self.path / shard, f"tensor {info.file_name!r} occurs twice")
            tensors[name] = TensorInfo(
                name, info.file_name, info.shape, info.dtype, info.offset, info.nbytes
            )
            self._shard_of[name] = number

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the bytes of a tensor, shape [nbytes], as a read-only view."""
        info = self.tensors[name]
        return self._files[self._shard_of[name]].view(info.offset, info.nbytes)

    def close(self) -> None:
        """Release the memory maps."""
        for file in self._files:
            file.close()
