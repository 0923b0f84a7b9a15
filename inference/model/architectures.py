"""The architectures that the one decoder covers, as the switches that tell them apart.

What a file states itself (sizes, bases, windows) is not here; names of tensors are in
``inference/formats/names.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.model.config import Activation, RopeType


@dataclass(frozen=True, slots=True)
class Architecture:
    """What distinguishes one architecture from a plain pre-norm decoder.

    ``gguf_rope_type`` is the rotary layout of GGUF files; Hugging Face's weights are always NeoX.
    ``rope_divisors``: a GGUF file may have a tensor that divides the rotary frequencies.
    ``qk_norm``: every head of q and k is normed before it is rotated.
    ``post_norms``: what a half-layer adds to the residual stream is normed too.
    ``scaled_embedding``: embeddings are multiplied by √hidden.
    ``sliding_pattern``: when a file states none, all layers but every n-th have a sliding window.
    ``hf_norm_offset``: Hugging Face's norm weights are short of this; GGUF converters add it.
    ``gguf_hidden_scalar_depths``: models of this many layers divide scores by √(hidden / heads),
    which GGUF files do not state; llama.cpp goes by the depth too.
    ``hf_defaults`` holds what config.json may leave out, under its own keys.
    """

    gguf_rope_type: RopeType = RopeType.NEOX
    rope_divisors: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    activation: Activation = "silu"
    scaled_embedding: bool = False
    sliding_pattern: int | None = None
    hf_norm_offset: float = 0.0
    gguf_hidden_scalar_depths: Collection[int] = ()
    hf_defaults: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES: Mapping[str, Architecture] = {
    "gemma3": Architecture(
        qk_norm=True,
        post_norms=True,
        activation="gelu",
        scaled_embedding=True,
        sliding_pattern=6,
        hf_norm_offset=1.0,
        gguf_hidden_scalar_depths=(62,),
        hf_defaults={"head_dim": 256, "rope_theta": 1e6, "query_pre_attn_scalar": 256},
    ),
    "llama": Architecture(
        gguf_rope_type=RopeType.ADJACENT, rope_divisors=True, hf_defaults={"rope_theta": 1e4}
    ),
    "qwen2": Architecture(),
    "qwen3": Architecture(qk_norm=True, hf_defaults={"head_dim": 128}),
}
"""GGUF's name of the architecture -> its switches."""
