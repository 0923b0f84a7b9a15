"""Hyper-parameters of a decoder, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class RopeType(IntEnum):
    """How rotary pairs are laid out in a head; the numbers are those of the APR metadata."""

    ADJACENT = 0
    NEOX = 2


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shape and constants of one decoder-only transformer.

    Sizes are in elements. ``context_length`` is in tokens. ``rope_theta`` is the rotary base.
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
