"""What a row of the table of architectures holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inference.model.architectures.usual import ATTENTION_BIASES, BIASES, KEYS, Keys
from inference.model.config import Activation, RopeType


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """Every fact of one architecture that its files do not state, or state in words of their own.

    Names
        ``name`` is GGUF's and the engine's own, ``hf_model_type`` what config.json says instead,
        ``hf_class`` the class of Transformers that runs it. ``layer_tensors`` maps the names of the
        tensors within a layer, GGUF's to Hugging Face's: the table is complete and a bijection.
        ``keys`` are those of the hyper-parameters.
    The decoder
        ``activation`` opens the gate of the feed-forward network. ``scaled_embedding``: embeddings
        are multiplied by √hidden. ``sliding_pattern``: when a file states none, all layers but
        every n-th have a sliding window. Which norms there are follows from ``layer_tensors``.
    GGUF files
        ``gguf_rope_type`` is the rotary layout of their rows of q and k; Hugging Face's are always
        NeoX. ``rope_divisors``: they may have a tensor that divides the rotary frequencies.
        ``gguf_hidden_scalar_depths``: models of this many layers divide scores by √(hidden /
        heads), which GGUF files do not state; llama.cpp goes by the depth too.
    Hugging Face's files
        ``hf_norm_offset``: their norm weights are short of this; GGUF converters add it.
        ``hf_defaults`` has the values of hyper-parameters that config.json may leave out, those of
        the configuration class; ``hf_tied`` is what it says of the embeddings. ``hf_biases`` maps
        keys of config.json to the biases that they switch on together, the empty key to those that
        the class always has.
    """

    name: str
    hf_class: str
    layer_tensors: Mapping[str, str]
    hf_model_type: str = ""
    keys: Mapping[str, Keys] = field(default_factory=lambda: KEYS)
    activation: Activation = "silu"
    scaled_embedding: bool = False
    sliding_pattern: int | None = None
    gguf_rope_type: RopeType = RopeType.NEOX
    rope_divisors: bool = False
    gguf_hidden_scalar_depths: Collection[int] = ()
    hf_norm_offset: float = 0.0
    hf_defaults: Mapping[str, Any] = field(default_factory=dict)
    hf_tied: bool = False
    hf_biases: Mapping[str, Collection[str]] = field(
        default_factory=lambda: {"attention_bias": ATTENTION_BIASES}
    )

    @property
    def model_type(self) -> str:
        """Config.json's ``model_type``."""
        return self.hf_model_type or self.name

    @property
    def qk_norm(self) -> bool:
        """Tell whether every head of q and k is normed before it is rotated."""
        return "attn_q_norm.weight" in self.layer_tensors

    @property
    def post_norms(self) -> bool:
        """Tell whether what a half-layer adds to the residual stream is normed too."""
        return "post_ffw_norm.weight" in self.layer_tensors

    @cached_property
    def gguf_layer_tensors(self) -> Mapping[str, str]:
        """Names within a layer, those of biases too, GGUF's to Hugging Face's."""
        return {**BIASES, **self.layer_tensors}

    @cached_property
    def hf_layer_tensors(self) -> Mapping[str, str]:
        """Names within a layer the other way round, Hugging Face's to GGUF's."""
        return {hf: gguf for gguf, hf in self.gguf_layer_tensors.items()}
