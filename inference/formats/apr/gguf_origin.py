"""What an APR file keeps of the GGUF file it came from, so that the way back loses nothing.

Under ``gguf`` stands every metadata value with its GGUF type, and the order of the tensors; values
that already stand elsewhere in the APR metadata (the vocabulary above all) are named by their place
instead of being written twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gguf.constants import GGUFValueType

from inference.errors import ModelFileError
from inference.formats.base import ModelFile
from inference.formats.gguf.metadata import GgufMetadata
from inference.formats.gguf.reader import GgufFile
from inference.formats.gguf.tokenizer import GGUF_KEYS
from inference.formats.tokenizer_spec import LISTS

_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    **{GGUF_KEYS[name]: ("tokenizer", name) for name in LISTS},
    GGUF_KEYS["chat_template"]: ("chat_template",),
}
"""GGUF key -> where the APR metadata keep its value."""

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SCALAR_TYPES = {kind.name.lower(): kind for kind in GGUFValueType if kind.name != "ARRAY"}


def keep_gguf(file: GgufFile, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``gguf`` section for a file whose other APR metadata are ``kept``."""
    entries: dict[str, Any] = {}
    for key, value in file.metadata.items():
        entry: dict[str, Any] = {"type": _type_text(file.metadata_types[key])}
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        place = _ELSEWHERE.get(key)
        if place is not None and _same(_at(kept, place), plain):
            entry["in"] = ".".join(place)
        else:
            entry["value"] = _to_json(plain)
        entries[key] = entry
    return {
        "version": file.version,
        "alignment": file.alignment,
        "metadata": entries,
        "tensor_order": list(file.tensors),
    }


def gguf_origin(file: ModelFile) -> GgufMetadata | None:
    """Return the GGUF metadata that an APR file keeps, ``None`` when it came from elsewhere."""
    section = file.metadata.get("gguf")
    if section is None:
        return None
    metadata: dict[str, Any] = {}
    types: dict[str, tuple[GGUFValueType, ...]] = {}
    try:
        for key, entry in section["metadata"].items():
            types[key] = _parse_type(entry["type"])
            if "in" in entry:
                metadata[key] = _at(file.metadata, tuple(entry["in"].split(".")))
                if metadata[key] is None:
                    raise KeyError(entry["in"])
            else:
                metadata[key] = _from_json(entry["value"], types[key][-1])
        return GgufMetadata(
            int(section["version"]),
            int(section["alignment"]),
            metadata,
            types,
            list(section["tensor_order"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(file.path, f"the 'gguf' metadata are damaged: {error!r}") from error


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _at(metadata: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    value: Any = metadata
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _type_text(types: tuple[GGUFValueType, ...]) -> str:
    return ":".join(kind.name.lower() for kind in types)


def _parse_type(text: str) -> tuple[GGUFValueType, ...]:
    head, _, element = text.partition(":")
    if head == "array":
        return GGUFValueType.ARRAY, _SCALAR_TYPES[element]
    return (_SCALAR_TYPES[text],)


def _to_json(value: Any) -> Any:
    """Return ``value`` with the floats that JSON lacks as texts."""
    if isinstance(value, list):
        return [_to_json(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _from_json(value: Any, kind: GGUFValueType) -> Any:
    if kind not in (GGUFValueType.FLOAT32, GGUFValueType.FLOAT64):
        return value
    if isinstance(value, list):
        return [_from_json(element, kind) for element in value]
    return _SPECIAL[value] if isinstance(value, str) else value
