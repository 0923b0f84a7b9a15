"""What converters to GGUF change in a model's tensors, and the way back.

Llama's query and key rows are permuted so that rotary pairs are neighbours; Gemma's norm weights
get the one added that Hugging Face's code adds while computing. Source: llama.cpp's
convert_hf_to_gguf.py, LlamaModel.permute and Gemma3Model.modify_tensors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference.errors import UnsupportedFormatError
from inference.formats.base import ModelFile
from inference.formats.config.hyperparameters import Dialect
from inference.formats.overlay import tensor_values
from inference.kernels.rope import interpolated_by_parts
from inference.model.architectures import ARCHITECTURES
from inference.model.config import Llama3Scaling, ModelConfig, RopeType

DIVISORS = "rope_freqs.weight"
"""GGUF's tensor that divides rotary frequencies; config.json states the formula instead."""


def row_order(name: str, config: ModelConfig, to: Dialect) -> NDArray[np.intp] | None:
    """Return which row of the source is row i of the target; ``None`` when none moves."""
    part = name.split(".", 2)[-1].removesuffix(".weight").removesuffix(".bias")
    heads = {"attn_q": config.heads, "attn_k": config.kv_heads}.get(part)
    adjacent = ARCHITECTURES[config.architecture].gguf_rope_type == RopeType.ADJACENT
    if heads is None or not adjacent:
        return None
    halves = (2, config.head_dim // 2) if to == "gguf" else (config.head_dim // 2, 2)
    rows = np.arange(heads * config.head_dim).reshape(heads, *halves)
    return rows.swapaxes(1, 2).reshape(-1)


def norm_shift(name: str, config: ModelConfig, to: Dialect) -> float:
    """Return what is added to the values of a tensor; 0 for all but norm weights."""
    if not name.endswith("norm.weight"):
        return 0.0
    offset = ARCHITECTURES[config.architecture].hf_norm_offset
    return offset if to == "gguf" else -offset


def rope_divisors(config: ModelConfig) -> NDArray[np.float32] | None:
    """Return the divisors of a GGUF file for scaling by parts, [head_dim / 2]; ``None``: none."""
    scaling = config.rope_scaling
    if not isinstance(scaling, Llama3Scaling):
        return None
    from inference.kernels.rope.cpu import rope_frequencies  # with Numba, which is slow to load

    plain = rope_frequencies(config.head_dim, config.rope_theta)
    parts = scaling.low_freq_factor, scaling.high_freq_factor, scaling.original_context
    return (plain / interpolated_by_parts(plain, scaling.factor, *parts)).astype(np.float32)


_LOW, _HIGH = 1.0, 4.0
"""The bounds that every published model has; divisors alone do not tell them from the context."""


def scaling_of_divisors(file: ModelFile, config: ModelConfig) -> Llama3Scaling | None:
    """Return the scaling whose divisors a GGUF file carries, ``None`` when it carries none.

    ``UnsupportedFormatError`` for divisors of no known formula: config.json cannot state them.
    """
    if not config.rope_divisors:
        return None
    stored = tensor_values(file, DIVISORS)
    # The factor stands in the longest wave; contexts are powers of two.
    for exponent in range(4, 24):
        scaling = Llama3Scaling(float(stored.max()), _LOW, _HIGH, 1 << exponent)
        made = rope_divisors(replace(config, rope_scaling=scaling))
        if made is not None and np.allclose(stored, made, rtol=1e-5):
            return scaling
    raise UnsupportedFormatError(
        file.path, f"the divisors in {DIVISORS!r} follow no formula that config.json can state"
    )
