"""The table: whoever adds an architecture adds a row here.

Tests read it, and name what a row lacks beside it: a small model with recorded values, an entry in
the reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.model.architectures.row import Architecture
from inference.model.architectures.usual import (
    ATTENTION_BIASES,
    KEYS,
    LAYER,
    MLP_BIASES,
    QK_NORM,
    QKV_BIASES,
    Keys,
)
from inference.model.config import RopeType

_DEFAULTS = {"rope_theta": 1e4, "rms_norm_eps": 1e-6}
_QWEN = {**KEYS, "use_sliding": Keys(hf="use_sliding_window")}

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
        keys={
            **KEYS,
            "activation": Keys(hf="hidden_activation"),
            "query_scalar": Keys(hf="query_pre_attn_scalar"),
            "attn_softcap": Keys("attn_logit_softcapping", "attn_logit_softcapping"),
            "final_softcap": Keys("final_logit_softcapping", "final_logit_softcapping"),
            "bidirectional": Keys(hf="use_bidirectional_attention"),
        },
        activation="gelu",
        scaled_embedding=True,
        sliding_pattern=6,
        gguf_hidden_scalar_depths=(62,),
        hf_norm_offset=1.0,
        # The published multimodal directories leave out all of these.
        hf_defaults={
            "heads": 8,
            "kv_heads": 4,
            "head_dim": 256,
            "vocab": 262_208,
            "context_length": 131_072,
            "rope_theta": 1e6,
            "rms_norm_eps": 1e-6,
            "query_scalar": 256,
            "sliding_tokens": 4096,
        },
        hf_tied=True,
    ),
    Architecture(
        name="llama",
        hf_class="LlamaForCausalLM",
        layer_tensors=LAYER,
        gguf_rope_type=RopeType.ADJACENT,
        rope_divisors=True,
        hf_defaults=_DEFAULTS,
        hf_biases={"attention_bias": ATTENTION_BIASES, "mlp_bias": MLP_BIASES},
    ),
    Architecture(
        name="qwen2",
        hf_class="Qwen2ForCausalLM",
        layer_tensors=LAYER,
        keys=_QWEN,
        hf_defaults=_DEFAULTS,
        hf_biases={"": QKV_BIASES},
    ),
    Architecture(
        name="qwen3",
        hf_class="Qwen3ForCausalLM",
        layer_tensors={**LAYER, **QK_NORM},
        keys=_QWEN,
        hf_defaults={**_DEFAULTS, "head_dim": 128},
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {row.name: row for row in _ROWS}
"""GGUF's name of the architecture -> its row."""


def architecture_of_model_type(model_type: str) -> str:
    """Return GGUF's name of what config.json calls ``model_type``; unknown names are their own."""
    rows = ARCHITECTURES.values()
    return next((row.name for row in rows if row.model_type == model_type), model_type)
