"""Hyper-parameters out of a model file's metadata, checked against its tensors."""

from __future__ import annotations

from typing import Any

from inference.errors import ModelFileError, UnsupportedArchitectureError, UnsupportedFormatError
from inference.formats.base import ModelFile
from inference.formats.hyperparameters import KEYS, MAX_LAYERS, REQUIRED, Hyperparameters
from inference.formats.names import ALIASES
from inference.formats.rotary import rope_scaling
from inference.formats.validate import check_structure
from inference.model.architectures import ARCHITECTURES
from inference.model.config import ModelConfig, RopeType


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
    An APR file, whose weights can come from either, says it itself.
    """
    architecture = ARCHITECTURES.get(architecture_of(file))
    if architecture is None:
        return None
    read = Hyperparameters(file, architecture_of(file))
    imported = file.metadata.get("original_format") if file.format == "apr" else None
    of_gguf = "gguf" in (read.dialect, imported)
    layout = architecture.gguf_rope_type if of_gguf else RopeType.NEOX
    stated = file.metadata.get("rope_type") if file.format == "apr" else None
    if stated is not None and stated != layout:
        raise ModelFileError(
            file.path,
            f"rope_type is {str(stated)[:80]}; {architecture_of(file)} needs {layout.value} "
            f"({layout.name})",
        )
    return layout


def stated_hyperparameters(file: ModelFile) -> dict[str, Any]:
    """Return what a file states of its hyper-parameters, unchecked, under APR's key names."""
    read = Hyperparameters(file, architecture_of(file))
    stated = {keys[1]: read.value(field) for field, keys in KEYS.items()}
    stated["vocab_size"] = stated["vocab_size"] or _rows(file, "token_embd.weight")
    return {key: value for key, value in stated.items() if value is not None}


def model_config(file: ModelFile) -> ModelConfig:
    """Return the hyper-parameters of an open model file.

    ``UnsupportedArchitectureError`` for an architecture that the engine does not implement,
    ``ModelFileError`` when keys are missing or contradict each other or the tensors' shapes.
    """
    name = architecture_of(file)
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        raise UnsupportedArchitectureError(
            f"{file.path}: architecture {name!r} is not implemented; "
            f"supported: {', '.join(sorted(ARCHITECTURES))}"
        )
    read = Hyperparameters(file, name, architecture.hf_defaults)
    rope_type = rope_type_of(file)
    assert rope_type is not None
    hidden, heads = read.size("hidden"), read.size("heads")
    config = ModelConfig(
        architecture=name,
        layers=read.size("layers", limit=MAX_LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=read.size("kv_heads", default=heads),
        head_dim=read.size("head_dim", default=hidden // heads or REQUIRED),
        intermediate=read.size("intermediate"),
        vocab=read.size("vocab", default=_rows(file, "token_embd.weight")),
        context_length=read.size("context_length"),
        rope_theta=read.positive("rope_theta"),
        rope_type=rope_type,
        rms_norm_eps=read.positive("rms_norm_eps"),
        tied_embeddings="output.weight" not in file.tensors,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        qk_norm=architecture.qk_norm,
        rope_scaling=rope_scaling(read),
        rope_divisors=architecture.rope_divisors and "rope_freqs.weight" in file.tensors,
    )
    _refuse_extensions(read)
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


def _refuse_extensions(read: Hyperparameters) -> None:
    """Refuse what would change the forward pass and is not implemented."""
    if read.extra(None, "use_sliding_window"):
        raise UnsupportedFormatError(
            read.file.path, "sliding-window attention is not implemented for this architecture"
        )
