"""Hyper-parameters of a decoder, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Activation = Literal["silu", "gelu"]
"""What opens the gate of a feed-forward network; GELU is meant in its tanh form."""


class RopeType(IntEnum):
    """How rotary pairs are laid out in a head; the numbers are those of the APR metadata."""

    ADJACENT = 0
    NEOX = 2


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Every rotary frequency divided by ``factor``."""

    factor: float


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Frequencies of long waves divided by ``factor``, those of short ones kept.

    A wave is long when fewer than ``low_freq_factor`` of it fit into ``original_context`` tokens,
    short when more than ``high_freq_factor`` do; between them the two results are mixed.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


RopeScaling = LinearScaling | Llama3Scaling


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Layers in which a token sees only the last ``tokens`` tokens, itself included.

    They have a rotary base of their own and no scaling.
    """

    tokens: int
    layers: tuple[int, ...]
    rope_theta: float


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shape and constants of one decoder-only transformer.

    Sizes are in elements. ``context_length`` is in tokens. ``rope_theta`` is the rotary base;
    ``rope_divisors`` says that the file has a tensor of divisors for its frequencies.
    ``biases`` names the linear layers that have one, as their tensors in a layer are called.
    ``qk_norm``: every head of q and k is normed. ``post_norms``: what a half-layer adds is normed.
    ``norm_offset`` is added to the stored weights of every norm; ``embedding_scale`` multiplies
    embeddings, ``query_scale`` multiplies queries beside the 1/√head_dim of their scores.
    """

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    context_length: int
    rope_theta: float
    rope_type: RopeType
    rms_norm_eps: float
    tied_embeddings: bool
    biases: tuple[str, ...] = ()
    rope_scaling: RopeScaling | None = None
    rope_divisors: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    activation: Activation = "silu"
    norm_offset: float = 0.0
    embedding_scale: float = 1.0
    query_scale: float = 1.0
    sliding: SlidingWindow | None = None

    def window_of(self, layer: int) -> SlidingWindow | None:
        """Return the sliding window of a layer, ``None`` when it sees everything before it."""
        sliding = self.sliding
        return sliding if sliding is not None and layer in sliding.layers else None
