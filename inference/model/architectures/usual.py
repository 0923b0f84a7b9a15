"""What most architectures call their tensors and hyper-parameters; a row says what it has else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

MODEL_TENSORS: Mapping[str, str] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
"""Tensors outside the layers: GGUF's name, the engine's own -> Hugging Face's."""

LAYER: Mapping[str, str] = {
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
"""Tensors within a layer of the llama lineage, GGUF's name -> Hugging Face's."""

BIASES: Mapping[str, str] = {
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.bias": "self_attn.v_proj.bias",
    "attn_output.bias": "self_attn.o_proj.bias",
    "ffn_gate.bias": "mlp.gate_proj.bias",
    "ffn_up.bias": "mlp.up_proj.bias",
    "ffn_down.bias": "mlp.down_proj.bias",
}
"""Biases of linear layers, which any model may have: present ones are added, others are not."""

QKV_BIASES, ATTENTION_BIASES, MLP_BIASES = (*BIASES,)[:3], (*BIASES,)[:4], (*BIASES,)[4:]

QK_NORM: Mapping[str, str] = {
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
}


class Keys(NamedTuple):
    """The keys of one hyper-parameter; empty where a format does not state it.

    ``gguf`` follows the architecture's name and a dot, ``hf`` is a key of config.json.
    """

    gguf: str = ""
    hf: str = ""
    apr: str = ""


KEYS: Mapping[str, Keys] = {
    "layers": Keys("block_count", "num_hidden_layers", "num_layers"),
    "hidden": Keys("embedding_length", "hidden_size", "hidden_size"),
    "heads": Keys("attention.head_count", "num_attention_heads", "num_heads"),
    "kv_heads": Keys("attention.head_count_kv", "num_key_value_heads", "num_kv_heads"),
    "head_dim": Keys("attention.key_length", "head_dim", "head_dim"),
    "intermediate": Keys("feed_forward_length", "intermediate_size", "intermediate_size"),
    "vocab": Keys("vocab_size", "vocab_size", "vocab_size"),
    "context_length": Keys("context_length", "max_position_embeddings", "max_position_embeddings"),
    "rope_theta": Keys("rope.freq_base", "rope_theta", "rope_theta"),
    "rms_norm_eps": Keys("attention.layer_norm_rms_epsilon", "rms_norm_eps", "rms_norm_eps"),
    # Of some models only; an APR file keeps the metadata that it was made from for these.
    "value_dim": Keys(gguf="attention.value_length"),
    "rotated": Keys(gguf="rope.dimension_count"),
    "rope_scaling": Keys(gguf="rope.scaling.type"),
    "rope_factor": Keys(gguf="rope.scaling.factor"),
    "rope_factor_older": Keys(gguf="rope.scale_linear"),
    "sliding_tokens": Keys("attention.sliding_window", "sliding_window"),
    "sliding_pattern": Keys("attention.sliding_window_pattern", "sliding_window_pattern"),
    "sliding_layers": Keys("attention.sliding_window_pattern", "layer_types"),
    "sliding_theta": Keys("rope.freq_base_swa", "rope_local_base_freq"),
    "attn_softcap": Keys("attn_logit_softcapping"),
    "final_softcap": Keys("final_logit_softcapping"),
    "activation": Keys(hf="hidden_act"),
    "causal": Keys(hf="is_causal"),
    # Read by the classes of some architectures only, whose rows have the key.
    "use_sliding": Keys(),
    "query_scalar": Keys(),
    "bidirectional": Keys(),
}
"""Hyper-parameter -> its keys. A key that Transformers reads elsewhere only changes nothing."""

EVERYWHERE = tuple(field for field, keys in KEYS.items() if all(keys))
"""The hyper-parameters that every format has a key for."""
