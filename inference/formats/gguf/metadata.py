"""All that a GGUF file says besides its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gguf.constants import GGUFValueType


@dataclass(frozen=True)
class GgufMetadata:
    """The metadata of a GGUF file as its reader gives them, arrays as lists."""

    version: int
    alignment: int
    values: Mapping[str, Any]
    types: Mapping[str, tuple[GGUFValueType, ...]]
    tensor_order: list[str]
