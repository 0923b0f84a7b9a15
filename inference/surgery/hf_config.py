"""The JSON files of a Hugging Face directory: its own, kept, or config.json made anew."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from inference.errors import UnsupportedFormatError
from inference.formats.apr.hf_origin import hf_origin
from inference.formats.base import ModelFile
from inference.formats.config.reading import HF_ACTIVATIONS
from inference.formats.hf.files import read_hf_files
from inference.formats.tokenizer_spec import TokenizerSpec
from inference.model.architectures import ARCHITECTURES, EVERYWHERE, Architecture
from inference.model.config import LinearScaling, Llama3Scaling, ModelConfig


def hf_files_of(file: ModelFile) -> dict[str, dict[str, Any]] | None:
    """Return the JSON files of a Hugging Face directory, opened or kept; ``None``: it is none."""
    if file.format == "hf":
        return read_hf_files(file)
    return hf_origin(file) if file.format == "apr" else None


def made_config(
    config: ModelConfig,
    spec: TokenizerSpec,
    scaling: LinearScaling | Llama3Scaling | None,
    dtype: str,
) -> dict[str, Any]:
    """Return config.json for a model; ``dtype`` is the type of most tensors, in PyTorch's words."""
    row = ARCHITECTURES[config.architecture]
    document: dict[str, Any] = {
        "architectures": [row.hf_class],
        "model_type": row.model_type,
        **{row.keys[field].hf: _plain(getattr(config, field)) for field in EVERYWHERE},
        row.keys["activation"].hf: HF_ACTIVATIONS[config.activation][0],
        "tie_word_embeddings": config.tied_embeddings,
        **_biases(row, config.biases),
        "torch_dtype": dtype,
        "use_cache": True,
        "bos_token_id": spec.bos_id,
        "eos_token_id": spec.eos_id,
        "pad_token_id": spec.pad_id,
    }
    if scaling is not None:
        document["rope_scaling"] = _scaling(scaling)
    if config.sliding is not None:
        document |= {
            row.keys["sliding_tokens"].hf: config.sliding.tokens,
            row.keys["sliding_theta"].hf: _plain(config.sliding.rope_theta),
            row.keys["sliding_layers"].hf: [
                "sliding_attention" if layer in config.sliding.layers else "full_attention"
                for layer in range(config.layers)
            ],
            row.keys["query_scalar"].hf: _query_scalar(config),
        }
    return document


def _biases(row: Architecture, biases: Collection[str]) -> dict[str, bool]:
    """Return the keys of config.json that switch biases on.

    Transformers takes a bias that they switch on and the files lack for zero.
    ``UnsupportedFormatError`` for one that it would leave out.
    """
    known = {part for parts in row.hf_biases.values() for part in parts}
    lost = sorted(set(biases) - known)
    if lost:
        raise UnsupportedFormatError(
            row.hf_class, f"has no place for {', '.join(lost)}, which this model has"
        )
    return {key: any(part in biases for part in row.hf_biases[key]) for key in row.hf_biases if key}


def _query_scalar(config: ModelConfig) -> int:
    """Return the scalar whose root divides scores, for Transformers an integer."""
    value = round(config.head_dim / config.query_scale**2, 6)
    if not value.is_integer():
        raise UnsupportedFormatError(
            ARCHITECTURES[config.architecture].hf_class,
            f"divides scores by the root of an integer; this model's is {value:g}",
        )
    return int(value)


def _scaling(scaling: LinearScaling | Llama3Scaling) -> dict[str, Any]:
    if isinstance(scaling, LinearScaling):
        return {"rope_type": "linear", "factor": _plain(scaling.factor)}
    return {
        "rope_type": "llama3",
        "factor": _plain(scaling.factor),
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_context,
    }


def _plain(value: float) -> float:
    """Return the shortest number that is the same float32: GGUF keeps 1e-6 as 9.99999997e-07."""
    if isinstance(value, int) or float(np.float32(value)) != value:
        return value
    return float(str(np.float32(value)))
