"""Typed access to what a model file states of its hyper-parameters, under any format's key names.

Sizes have a key in every format. What only some models have (scaling, windows) is read from the
dialect that the model was first written in, GGUF or Hugging Face: an import to APR keeps that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from inference.errors import ModelFileError
from inference.formats.apr.gguf_origin import gguf_origin
from inference.formats.base import ModelFile
from inference.model.architectures import ARCHITECTURES, KEYS, Keys

Dialect = Literal["gguf", "hf"]

MAX_LAYERS = 100_000
MAX_NUMBER = 1e300
REQUIRED: Any = object()

_GGUF_DEFAULTS: Mapping[str, Any] = {"rope_theta": 1e4}
"""llama.cpp's for keys that files of 2023 leave out."""


class Hyperparameters:
    """The metadata of one file, read by field; ``ModelFileError`` for values that cannot be.

    Fields are those of the architecture's row; with ``defaults`` what config.json may leave out has
    the row's value. ``dialect`` and ``original`` are the format that the model came from and its
    metadata there; ``weights_of`` is the format whose conventions the values of its tensors follow.
    """

    def __init__(self, file: ModelFile, architecture: str, *, defaults: bool = False) -> None:
        row = ARCHITECTURES.get(architecture)
        self.file = file
        self.architecture = architecture
        self.keys: Mapping[str, Keys] = KEYS if row is None else row.keys
        self._defaults = row.hf_defaults if row is not None and defaults else {}
        self._by_layer_type = row is not None and row.sliding_pattern is not None
        self.dialect, self.original = _original(file)
        imported = file.metadata.get("original_format") if file.format == "apr" else None
        self.weights_of: Dialect = "gguf" if "gguf" in (self.dialect, imported) else "hf"

    def key(self, field: str) -> str:
        """Return the key of a field in this file."""
        key: str = getattr(self.keys[field], self.file.format)
        return f"{self.architecture}.{key}" if self.file.format == "gguf" else key

    def value(self, field: str) -> Any:
        """Return what the file states, ``None`` for nothing."""
        if field == "rope_theta" and self.file.format == "hf":
            value = self.hf_rope("full_attention").get("rope_theta")
        else:
            value = self.file.metadata.get(self.key(field))
        if value is None:
            defaults = self._defaults if self.dialect == "hf" else _GGUF_DEFAULTS
            value = defaults.get(field)
        return value

    def size(self, field: str, *, default: Any = REQUIRED, limit: int = 1 << 40) -> int:
        """Return a positive integer below ``limit``."""
        return self._size(self.key(field), self.value(field), default, limit)

    def positive(self, field: str) -> float:
        """Return a positive finite number."""
        return self._positive(self.key(field), self.value(field), REQUIRED)

    def extra(self, field: str) -> Any:
        """Return what the original dialect states of a field, ``None`` for nothing."""
        keys = self.keys[field]
        if self.dialect == "gguf":
            return self.original.get(f"{self.architecture}.{keys.gguf}") if keys.gguf else None
        value = self.original.get(keys.hf) if keys.hf else None
        return self._defaults.get(field) if value is None else value

    def extra_size(self, field: str, *, default: Any = REQUIRED) -> int:
        """Return a positive integer of the original dialect."""
        return self._size(self.extra_key(field), self.extra(field), default, 1 << 40)

    def extra_positive(self, field: str, *, default: Any = REQUIRED) -> float:
        """Return a positive finite number of the original dialect."""
        return self._positive(self.extra_key(field), self.extra(field), default)

    def extra_key(self, field: str) -> str:
        """Return the key of a field in the original dialect, in GGUF without the architecture."""
        keys = self.keys[field]
        return keys.gguf if self.dialect == "gguf" else keys.hf

    def hf_rope(self, layer_type: str) -> Mapping[str, Any]:
        """Return config.json's rotary parameters of full or of sliding attention.

        Transformers 5 moved the base and the scaling into ``rope_parameters``, by layer type for
        the architectures that have several. Where the old ``rope_scaling`` is there too it counts
        alone, or over the new key with layer types; what is inside counts over what is beside
        (``convert_rope_params_to_dict`` of modeling_rope_utils.py and of Gemma3TextConfig, 5.24).
        """
        full = layer_type == "full_attention"
        scaling, parameters = self._section("rope_scaling"), self._section("rope_parameters")
        if self._by_layer_type:
            section = parameters.get(layer_type) or {"rope_type": "default"}
            if not isinstance(section, dict):
                raise self._impossible(f"rope_parameters.{layer_type}", section, "an object")
            section = {**section, **(scaling if full else {})}
        else:
            section = {**(scaling or parameters)}
        beside = self.original.get(self.keys["rope_theta" if full else "sliding_theta"].hf)
        if beside is not None:
            section.setdefault("rope_theta", beside)
        return section

    def _section(self, key: str) -> dict[str, Any]:
        section = self.original.get(key)
        if section is not None and not isinstance(section, dict):
            raise self._impossible(key, section, "an object")
        return section or {}

    def positive_in(self, section: Mapping[str, Any], key: str) -> float:
        """Return a positive finite number of a part of the metadata."""
        return self._positive(key, section.get(key), REQUIRED)

    def size_in(self, section: Mapping[str, Any], key: str) -> int:
        """Return a positive integer of a part of the metadata."""
        return self._size(key, section.get(key), REQUIRED, 1 << 40)

    def _size(self, key: str, value: Any, default: Any, limit: int) -> int:
        value = self._or_default(key, value, default)
        if not (type(value) is int and 0 < value < limit):
            raise self._impossible(key, value, "a positive integer of a possible size")
        return value

    def _positive(self, key: str, value: Any, default: Any) -> float:
        value = self._or_default(key, value, default)
        if not (type(value) in (int, float) and 0 < value < MAX_NUMBER):
            raise self._impossible(key, value, "a positive finite number")
        return float(value)

    def _or_default(self, key: str, value: Any, default: Any) -> Any:
        if value is None and default is REQUIRED:
            raise ModelFileError(self.file.path, f"metadata key {key!r} is missing")
        return default if value is None else value

    def _impossible(self, key: str, value: Any, what: str) -> ModelFileError:
        return ModelFileError(
            self.file.path, f"metadata key {key!r} is {str(value)[:80]!r}; it must be {what}"
        )


def _original(file: ModelFile) -> tuple[Dialect, Mapping[str, Any]]:
    if file.format == "gguf":
        return "gguf", file.metadata
    if file.format == "apr":
        origin = gguf_origin(file)
        if origin is not None:
            return "gguf", origin.values
        section = file.metadata.get("hf")
        config = section.get("config") if isinstance(section, dict) else None
        if isinstance(config, dict):
            return "hf", config
    return "hf", file.metadata
