"""Hyper-parameters of a decoder, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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
class ModelConfig:
    """Shape and constants of one decoder-only transformer.

    Sizes are in elements. ``context_length`` is in tokens. ``rope_theta`` is the rotary base;
    ``rope_divisors`` says that the file has a tensor of divisors for its frequencies.
    ``qk_norm``: every head of q and k is normed.
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
    qkv_bias: bool
    rope_scaling: RopeScaling | None = None
    rope_divisors: bool = False
    qk_norm: bool = False
