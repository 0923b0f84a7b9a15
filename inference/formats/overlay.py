"""A model file seen through a few replaced tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import InputError
from inference.formats.base import ModelFile, TensorInfo
from inference.quant import dequantize
from inference.quant.types import GGMLType


class Overlay:
    """An open file in which some tensors are float32 arrays of ours; the rest is the file's own.

    Closing the overlay closes the file below.
    """

    def __init__(self, file: ModelFile, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self._below = file
        self._bytes: dict[str, NDArray[np.uint8]] = {}
        infos = dict(file.tensors)
        for name, values in tensors.items():
            if name not in infos or infos[name].shape != values.shape:
                raise InputError(f"{file.path} has no tensor {name!r} of shape {values.shape}")
            packed = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
            self._bytes[name] = packed
            infos[name] = replace(infos[name], dtype=GGMLType.F32, nbytes=packed.size)
        self.path: Path = file.path
        self.format: str = file.format
        self.metadata: Mapping[str, Any] = file.metadata
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(infos)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the bytes of a tensor, ours or the file's."""
        return self._bytes[name] if name in self._bytes else self._below.raw(name)

    def close(self) -> None:
        """Close the file below."""
        self._below.close()


def tensor_values(file: ModelFile, name: str) -> NDArray[np.float32]:
    """Return a tensor of ``file`` in float32, whole."""
    info = file.tensors[name]
    return dequantize(file.raw(name), info.dtype, info.shape)
