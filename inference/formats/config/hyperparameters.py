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

Dialect = Literal["gguf", "hf"]

# field: (key in GGUF after the architecture, key in APR, key in config.json)
KEYS: Mapping[str, tuple[str, str, str]] = {
    "layers": ("block_count", "num_layers", "num_hidden_layers"),
    "hidden": ("embedding_length", "hidden_size", "hidden_size"),
    "heads": ("attention.head_count", "num_heads", "num_attention_heads"),
    "kv_heads": ("attention.head_count_kv", "num_kv_heads", "num_key_value_heads"),
    "head_dim": ("attention.key_length", "head_dim", "head_dim"),
    "intermediate": ("feed_forward_length", "intermediate_size", "intermediate_size"),
    "vocab": ("vocab_size", "vocab_size", "vocab_size"),
    "context_length": ("context_length", "max_position_embeddings", "max_position_embeddings"),
    "rope_theta": ("rope.freq_base", "rope_theta", "rope_theta"),
    "rms_norm_eps": ("attention.layer_norm_rms_epsilon", "rms_norm_eps", "rms_norm_eps"),
}

MAX_LAYERS = 100_000
MAX_NUMBER = 1e300
REQUIRED: Any = object()


class Hyperparameters:
    """The metadata of one file, read by field; ``ModelFileError`` for values that cannot be.

    ``dialect`` and ``original`` are the format that the model came from and its metadata there;
    ``weights_of`` is the format whose conventions the values of its tensors follow.
    """

    def __init__(
        self, file: ModelFile, architecture: str, hf_defaults: Mapping[str, Any] | None = None
    ) -> None:
        self.file = file
        self.architecture = architecture
        self._column = ("gguf", "apr", "hf").index(file.format)
        self._hf_defaults = hf_defaults or {}
        self.dialect, self.original = _original(file)
        imported = file.metadata.get("original_format") if file.format == "apr" else None
        self.weights_of: Dialect = "gguf" if "gguf" in (self.dialect, imported) else "hf"

    def key(self, field: str) -> str:
        """Return the key of a field in this file."""
        key = KEYS[field][self._column]
        return f"{self.architecture}.{key}" if self.file.format == "gguf" else key

    def value(self, field: str) -> Any:
        """Return what the file states, ``None`` for nothing."""
        value = self.file.metadata.get(self.key(field))
        if value is None and self.dialect == "hf":
            key = KEYS[field][2]
            if field == "rope_theta":
                value = self.hf_rope("full_attention").get(key)
            if value is None:
                value = self._hf_defaults.get(key)
        return value

    def size(self, field: str, *, default: Any = REQUIRED, limit: int = 1 << 40) -> int:
        """Return a positive integer below ``limit``."""
        return self._size(self.key(field), self.value(field), default, limit)

    def positive(self, field: str) -> float:
        """Return a positive finite number."""
        return self._positive(self.key(field), self.value(field), REQUIRED)

    def extra(self, gguf: str | None, hf: str | None) -> Any:
        """Return a value under its key in the original dialect, ``None`` for nothing."""
        if self.dialect == "gguf":
            return self.original.get(f"{self.architecture}.{gguf}")
        if hf is None:
            return None
        value = self.original.get(hf)
        return self._hf_defaults.get(hf) if value is None else value

    def extra_size(self, gguf: str | None, hf: str | None, *, default: Any = REQUIRED) -> int:
        """Return a positive integer of the original dialect."""
        name = str(gguf if self.dialect == "gguf" else hf)
        return self._size(name, self.extra(gguf, hf), default, 1 << 40)

    def extra_positive(self, gguf: str | None, hf: str | None, *, default: Any = REQUIRED) -> float:
        """Return a positive finite number of the original dialect."""
        name = str(gguf if self.dialect == "gguf" else hf)
        return self._positive(name, self.extra(gguf, hf), default)

    def hf_rope(self, layer_type: str) -> Mapping[str, Any]:
        """Return config.json's rotary parameters of full or of sliding attention.

        Transformers 5 moved the base and the scaling into ``rope_parameters``, by layer type for
        the models that have several.
        """
        metadata = self.original
        full = layer_type == "full_attention"
        base = metadata.get("rope_theta" if full else "rope_local_base_freq")
        found: dict[str, Any] = {} if base is None else {"rope_theta": base}
        sections = [metadata.get("rope_scaling")] if full else []
        parameters = metadata.get("rope_parameters")
        if isinstance(parameters, dict):
            by_type = "full_attention" in parameters
            sections.append(parameters.get(layer_type) if by_type else parameters if full else None)
        for section in sections:
            if isinstance(section, dict):
                found |= section
        return found

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
