"""The one table between GGUF's tensor names, the engine's own, and Hugging Face's.

APR files use Hugging Face's names too. For every architecture the table is a bijection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_MODEL: Mapping[str, str] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}

_LAYER: Mapping[str, str] = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}

_QKV_BIAS: Mapping[str, str] = {
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.bias": "self_attn.v_proj.bias",
}

_QK_NORM: Mapping[str, str] = {
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
}

# Gemma 3 normalizes before and after each half-layer, so the second norm's name moves.
_GEMMA3_NORMS: Mapping[str, str] = {
    "post_attention_norm.weight": "post_attention_layernorm.weight",
    "ffn_norm.weight": "pre_feedforward_layernorm.weight",
    "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
}

LAYER_TABLES: Mapping[str, Mapping[str, str]] = {
    "qwen2": {**_LAYER, **_QKV_BIAS},
    "llama": _LAYER,
    "qwen3": {**_LAYER, **_QK_NORM},
    "gemma3": {**_LAYER, **_QK_NORM, **_GEMMA3_NORMS},
}
"""Architecture -> names within one layer, GGUF's to Hugging Face's."""

ALIASES: Mapping[str, str] = {"gemma3_text": "gemma3"}
"""Hugging Face's ``model_type`` -> GGUF's name of the architecture, where they differ."""

_GGUF_LAYER = re.compile(r"blk\.(0|[1-9]\d{0,5})\.(.+)", re.ASCII | re.DOTALL)
_HF_LAYER = re.compile(r"model\.layers\.(0|[1-9]\d{0,5})\.(.+)", re.ASCII | re.DOTALL)

_MODEL_BACK = {hf: gguf for gguf, hf in _MODEL.items()}
_LAYER_BACK = {
    architecture: {hf: gguf for gguf, hf in table.items()}
    for architecture, table in LAYER_TABLES.items()
}


def to_hf(name: str, architecture: str) -> str:
    """Return Hugging Face's name of a canonical one; names outside the table are their own."""
    if name in _MODEL:
        return _MODEL[name]
    match = _GGUF_LAYER.fullmatch(name)
    hf = LAYER_TABLES.get(architecture, {}).get(match[2]) if match else None
    return f"model.layers.{match[1]}.{hf}" if match and hf else name


def from_hf(name: str, architecture: str) -> str:
    """Return the canonical name of one of Hugging Face's; names outside the table are their own."""
    if name in _MODEL_BACK:
        return _MODEL_BACK[name]
    match = _HF_LAYER.fullmatch(name)
    gguf = _LAYER_BACK.get(architecture, {}).get(match[2]) if match else None
    return f"blk.{match[1]}.{gguf}" if match and gguf else name


def layer_of(name: str) -> int | None:
    """Return the layer that a canonical name belongs to, ``None`` for the model's own tensors."""
    match = _GGUF_LAYER.fullmatch(name)
    return int(match[1]) if match else None


def canonical_names(architecture: str, layers: int, *, tied: bool) -> Iterator[str]:
    """Yield the name of every tensor that a model of ``architecture`` has."""
    for name in _MODEL:
        if not (tied and name == "output.weight"):
            yield name
    for layer in range(layers):
        for name in LAYER_TABLES[architecture]:
            yield f"blk.{layer}.{name}"
