"""Hyper-parameters out of a model file's metadata, checked against its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import ModelFileError, UnsupportedArchitectureError, UnsupportedFormatError
from inference.formats.base import ModelFile
from inference.formats.names import ALIASES, LAYER_TABLES
from inference.formats.origin import gguf_origin
from inference.formats.validate import check_structure
from inference.model.config import ModelConfig, RopeType

SUPPORTED: Mapping[str, RopeType] = {"qwen2": RopeType.NEOX}
"""Architectures that the engine implements, and the rotary layout that each needs."""

# field: (key in GGUF after the architecture, key in APR, key in config.json)
_KEYS: Mapping[str, tuple[str, str, str]] = {
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
_REQUIRED: Any = object()


def architecture_of(file: ModelFile) -> str:
    """Return the architecture that the file names, in GGUF's spelling (``qwen2``)."""
    key = {"gguf": "general.architecture", "apr": "architecture", "hf": "model_type"}[file.format]
    name = file.metadata.get(key)
    if not isinstance(name, str) or not name:
        raise ModelFileError(file.path, f"metadata key {key!r} names no architecture")
    return ALIASES.get(name, name) if file.format == "hf" else name


def rope_type_of(file: ModelFile) -> RopeType | None:
    """Return the rotary layout that a file's weights are stored for, ``None`` when unknown.

    GGUF converters permute Llama's query and key rows to adjacent pairs; everyone else leaves them.
    """
    architecture = architecture_of(file)
    if architecture not in LAYER_TABLES:
        return None
    adjacent = architecture == "llama" and file.format == "gguf"
    return RopeType.ADJACENT if adjacent else RopeType.NEOX


def stated_hyperparameters(file: ModelFile) -> dict[str, Any]:
    """Return what a file states of its hyper-parameters, unchecked, under APR's key names."""
    read = _Reader(file, architecture_of(file))
    stated = {keys[1]: read.value(field) for field, keys in _KEYS.items()}
    stated["vocab_size"] = stated["vocab_size"] or _rows(file, "token_embd.weight")
    return {key: value for key, value in stated.items() if value is not None}


def model_config(file: ModelFile) -> ModelConfig:
    """Return the hyper-parameters of an open model file.

    ``UnsupportedArchitectureError`` for an architecture that the engine does not implement,
    ``ModelFileError`` when keys are missing or contradict each other or the tensors' shapes.
    """
    architecture = architecture_of(file)
    if architecture not in SUPPORTED:
        raise UnsupportedArchitectureError(
            f"{file.path}: architecture {architecture!r} is not implemented; "
            f"supported: {', '.join(sorted(SUPPORTED))}"
        )
    read = _Reader(file, architecture)
    read.refuse_extensions()
    hidden, heads = read.size("hidden"), read.size("heads")
    config = ModelConfig(
        architecture=architecture,
        layers=read.size("layers", limit=MAX_LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=read.size("kv_heads", default=heads),
        head_dim=read.size("head_dim", default=hidden // heads or _REQUIRED),
        intermediate=read.size("intermediate"),
        vocab=read.size("vocab", default=_rows(file, "token_embd.weight")),
        context_length=read.size("context_length"),
        rope_theta=read.positive("rope_theta"),
        rope_type=read.rope_type(),
        rms_norm_eps=read.positive("rms_norm_eps"),
        tied_embeddings="output.weight" not in file.tensors,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
    )
    _check(file, config)
    return config


def _rows(file: ModelFile, name: str) -> int:
    info = file.tensors.get(name)
    return info.shape[0] if info is not None else 0


def _check(file: ModelFile, config: ModelConfig) -> None:
    if config.heads % config.kv_heads:
        raise ModelFileError(
            file.path,
            f"{config.heads} heads cannot share {config.kv_heads} key-value heads evenly",
        )
    if config.head_dim % 2:
        raise ModelFileError(
            file.path, f"head_dim is {config.head_dim}; rotary pairs need an even size"
        )
    if config.tied_embeddings and file.metadata.get("tie_word_embeddings") is False:
        raise ModelFileError(file.path, "embeddings are not tied, yet lm_head.weight is missing")
    check_structure(file, config)


def _original(file: ModelFile) -> tuple[str, Mapping[str, Any]]:
    """Return the format that a model came from and its metadata there."""
    if file.format != "apr":
        return file.format, file.metadata
    origin = gguf_origin(file)
    if origin is not None:
        return "gguf", origin.metadata
    section = file.metadata.get("hf")
    config = section.get("config") if isinstance(section, dict) else None
    return "hf", config if isinstance(config, dict) else file.metadata


class _Reader:
    """Typed access to the metadata of one file under its own key names."""

    def __init__(self, file: ModelFile, architecture: str) -> None:
        self.file = file
        self.architecture = architecture
        self.column = ("gguf", "apr", "hf").index(file.format)

    def key(self, field: str) -> str:
        key = _KEYS[field][self.column]
        return f"{self.architecture}.{key}" if self.file.format == "gguf" else key

    def value(self, field: str) -> Any:
        """Return what the file states, ``None`` for nothing."""
        value = self.file.metadata.get(self.key(field))
        if value is None and field == "rope_theta" and self.file.format == "hf":
            # transformers 5 moved the base into rope_parameters
            parameters = self.file.metadata.get("rope_parameters")
            value = parameters.get(field) if isinstance(parameters, dict) else None
        return value

    def _get(self, field: str, default: Any, accept: Callable[[Any], bool], what: str) -> Any:
        key = self.key(field)
        value = self.value(field)
        if value is None:
            if default is _REQUIRED:
                raise ModelFileError(self.file.path, f"metadata key {key!r} is missing")
            value = default
        if not accept(value):
            raise ModelFileError(
                self.file.path, f"metadata key {key!r} is {str(value)[:80]!r}; it must be {what}"
            )
        return value

    def size(self, field: str, *, default: Any = _REQUIRED, limit: int = 1 << 40) -> int:
        """Return a positive integer below ``limit``."""
        value = self._get(
            field,
            default,
            lambda value: type(value) is int and 0 < value < limit,
            "a positive integer of a possible size",
        )
        return int(value)

    def positive(self, field: str) -> float:
        """Return a positive finite number."""
        value = self._get(
            field,
            _REQUIRED,
            lambda value: type(value) in (int, float) and 0 < value < MAX_NUMBER,
            "a positive finite number",
        )
        return float(value)

    def rope_type(self) -> RopeType:
        """Return the rotary layout; an APR file that contradicts the architecture is refused."""
        needed = SUPPORTED[self.architecture]
        stated = self.file.metadata.get("rope_type") if self.file.format == "apr" else None
        if stated is not None and stated != needed:
            raise ModelFileError(
                self.file.path,
                f"rope_type is {stated!r}; {self.architecture} needs {needed.value} "
                f"({needed.name})",
            )
        return needed

    def refuse_extensions(self) -> None:
        """Refuse what would change the forward pass and is not implemented."""
        kind, metadata = _original(self.file)
        scaling: Any = None
        if kind == "gguf":
            scaling = metadata.get(f"{self.architecture}.rope.scaling.type")
        else:
            for key in ("rope_scaling", "rope_parameters"):
                parameters = metadata.get(key)
                if isinstance(parameters, dict):
                    scaling = parameters.get("rope_type", parameters.get("type")) or scaling
        if scaling not in (None, "none", "default"):
            raise UnsupportedFormatError(
                self.file.path, f"rotary scaling {str(scaling)[:80]!r} is not implemented"
            )
        if metadata.get("use_sliding_window"):
            raise UnsupportedFormatError(
                self.file.path, "sliding-window attention is not implemented for this architecture"
            )
