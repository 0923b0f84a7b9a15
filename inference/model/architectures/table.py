"""The table: whoever adds an architecture adds a row here.

Tests read it, and name what a row lacks beside it: a small model with recorded values, an entry in
the reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.model.architectures.row import Architecture
from inference.model.architectures.usual import KEYS, LAYER, QK_NORM, QKV_BIAS, Keys
from inference.model.config import RopeType

_ROWS = (
    Architecture(
        name="gemma3",
        hf_model_type="gemma3_text",
        hf_class="Gemma3ForCausalLM",
        # It norms before and after each half-layer, so the second norm's name moves.
        layer_tensors={
            **LAYER,
            **QK_NORM,
            "post_attention_norm.weight": "post_attention_layernorm.weight",
            "ffn_norm.weight": "pre_feedforward_layernorm.weight",
            "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
        },
        keys={**KEYS, "activation": Keys(hf="hidden_activation")},
        activation="gelu",
        scaled_embedding=True,
        sliding_pattern=6,
        gguf_hidden_scalar_depths=(62,),
        hf_norm_offset=1.0,
        hf_defaults={"head_dim": 256, "rope_theta": 1e6, "query_scalar": 256},
    ),
    Architecture(
        name="llama",
        hf_class="LlamaForCausalLM",
        layer_tensors=LAYER,
        gguf_rope_type=RopeType.ADJACENT,
        rope_divisors=True,
        hf_defaults={"rope_theta": 1e4},
    ),
    Architecture(
        name="qwen2",
        hf_class="Qwen2ForCausalLM",
        layer_tensors={**LAYER, **QKV_BIAS},
    ),
    Architecture(
        name="qwen3",
        hf_class="Qwen3ForCausalLM",
        layer_tensors={**LAYER, **QK_NORM},
        hf_defaults={"head_dim": 128},
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {row.name: row for row in _ROWS}
"""GGUF's name of the architecture -> its row."""


def architecture_of_model_type(model_type: str) -> str:
    """Return GGUF's name of what config.json calls ``model_type``; unknown names are their own."""
    rows = ARCHITECTURES.values()
    return next((row.name for row in rows if row.model_type == model_type), model_type)
