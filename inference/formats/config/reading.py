"""Hyper-parameters out of a model file's metadata, checked against its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import sqrt
from typing import Any

from inference.errors import ModelFileError, UnsupportedArchitectureError, UnsupportedFormatError
from inference.formats.base import ModelFile
from inference.formats.config.hyperparameters import MAX_LAYERS, REQUIRED, Hyperparameters
from inference.formats.config.rotary import rope_scaling
from inference.formats.config.sliding import sliding_window
from inference.formats.validate import check_structure
from inference.model.architectures import (
    ARCHITECTURES,
    BIASES,
    EVERYWHERE,
    architecture_of_model_type,
)
from inference.model.config import Activation, ModelConfig, RopeType

HF_ACTIVATIONS: Mapping[Activation, tuple[str, ...]] = {
    "silu": ("silu", "swish"),
    "gelu": ("gelu_pytorch_tanh", "gelu_tanh"),
}


def architecture_of(file: ModelFile) -> str:
    """Return the architecture that the file names, in GGUF's spelling (``qwen2``)."""
    key = {"gguf": "general.architecture", "apr": "architecture", "hf": "model_type"}[file.format]
    name = file.metadata.get(key)
    if not isinstance(name, str) or not name:
        raise ModelFileError(file.path, f"metadata key {key!r} names no architecture")
    return architecture_of_model_type(name) if file.format == "hf" else name


def rope_type_of(file: ModelFile) -> RopeType | None:
    """Return the rotary layout that a file's weights are stored for, ``None`` when unknown.

    GGUF converters permute Llama's query and key rows to adjacent pairs; everyone else leaves them.
    An APR file, whose weights can come from either, says it itself.
    """
    architecture = ARCHITECTURES.get(architecture_of(file))
    if architecture is None:
        return None
    read = Hyperparameters(file, architecture_of(file))
    layout = architecture.gguf_rope_type if read.weights_of == "gguf" else RopeType.NEOX
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
    stated = {read.keys[field].apr: read.value(field) for field in EVERYWHERE}
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
    read = Hyperparameters(file, name, defaults=True)
    rope_type = rope_type_of(file)
    assert rope_type is not None
    layers = read.size("layers", limit=MAX_LAYERS)
    hidden, heads = read.size("hidden"), read.size("heads")
    head_dim = read.size("head_dim", default=hidden // heads or REQUIRED)
    config = ModelConfig(
        architecture=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=read.size("kv_heads", default=heads),
        head_dim=head_dim,
        intermediate=read.size("intermediate"),
        vocab=read.size("vocab", default=_rows(file, "token_embd.weight")),
        context_length=read.size("context_length"),
        rope_theta=read.positive("rope_theta"),
        rope_type=rope_type,
        rms_norm_eps=read.positive("rms_norm_eps"),
        tied_embeddings="output.weight" not in file.tensors,
        biases=tuple(part for part in BIASES if f"blk.0.{part}" in file.tensors),
        qk_norm=architecture.qk_norm,
        post_norms=architecture.post_norms,
        activation=architecture.activation,
        norm_offset=architecture.hf_norm_offset if read.weights_of == "hf" else 0.0,
        embedding_scale=sqrt(hidden) if architecture.scaled_embedding else 1.0,
        query_scale=_query_scale(read, head_dim, architecture.gguf_hidden_scalar_depths),
        sliding=sliding_window(read, layers, architecture.sliding_pattern),
        rope_scaling=rope_scaling(read),
        rope_divisors=architecture.rope_divisors and "rope_freqs.weight" in file.tensors,
    )
    _refuse_extensions(read, config)
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
    if config.tied_embeddings and not _says_tied(file, config.architecture):
        raise ModelFileError(
            file.path,
            "embeddings are not tied (tie_word_embeddings), yet lm_head.weight is missing",
        )
    check_structure(file, config)


def _says_tied(file: ModelFile, architecture: str) -> bool:
    """Tell whether a file allows that the embedding is the head too; GGUF files just do it."""
    default = ARCHITECTURES[architecture].hf_tied if file.format == "hf" else True
    stated = file.metadata.get("tie_word_embeddings")
    return default if stated is None else stated is not False


def _query_scale(read: Hyperparameters, head_dim: int, depths: Collection[int]) -> float:
    """Return √(head_dim / scalar) for models that divide scores by the root of another scalar."""
    scalar = read.extra_positive("query_scalar", default=head_dim)
    if read.dialect == "gguf" and read.size("layers") in depths:
        scalar = read.size("hidden") / read.size("heads")
    return sqrt(head_dim / scalar)


def _refuse_extensions(read: Hyperparameters, config: ModelConfig) -> None:
    """Refuse what would change the forward pass and is not implemented."""
    if read.extra("use_sliding"):
        raise UnsupportedFormatError(
            read.file.path, "sliding-window attention is not implemented for this architecture"
        )
    for field in ("attn_softcap", "final_softcap"):
        if read.extra(field) is not None:
            key = read.extra_key(field)
            raise UnsupportedFormatError(read.file.path, f"{key} is not implemented")
    if read.extra("bidirectional") or read.extra("causal") is False:
        raise UnsupportedFormatError(read.file.path, "attention to later tokens is not implemented")
    stated = read.extra("activation") if read.dialect == "hf" else None
    if stated not in (None, *HF_ACTIVATIONS[config.activation]):
        raise UnsupportedFormatError(
            read.file.path,
            f"activation {str(stated)[:80]!r} is not implemented for this architecture",
        )
    rotated = read.extra("rotated")
    if rotated is not None and rotated != config.head_dim:
        raise UnsupportedFormatError(
            read.file.path, f"only {str(rotated)[:80]} of {config.head_dim} values of a head rotate"
        )
