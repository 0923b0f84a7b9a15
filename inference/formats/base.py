"""The one shape that every model file takes once opened.

Tensor names are GGUF's (``blk.0.attn_q.weight``) whatever the file calls them; ``names.py``
translates, by the row of the architecture. Shapes are in NumPy order, rows first: a projection is
``(out_features, in_features)``, which GGUF writes reversed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from inference.quant.types import TensorType


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies and what it is made of.

    ``name`` is the canonical name, ``file_name`` the one in the file; ``offset`` is absolute, in
    bytes; ``nbytes`` is the size of the packed data without padding.
    """

    name: str
    file_name: str
    shape: tuple[int, ...]
    dtype: TensorType
    offset: int
    nbytes: int


@runtime_checkable
class ModelFile(Protocol):
    """An open model file. Data are read-only views of a memory map; nothing is copied.

    As a context manager it closes itself; views that are still held stay valid.
    """

    path: Path
    format: str
    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the packed bytes of a tensor, shape [nbytes], as a read-only view."""
        ...

    def close(self) -> None:
        """Release the memory map."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
