"""What a traced run reports: statistics of ten slots per layer, of all tokens and of the last."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.model.stages import Stage
from inference.trace.statistics import ActivationStats

_EMPTY = ActivationStats()

SLOTS = MappingProxyType(
    {
        "attn_norm": Stage.ATTN_NORM,
        "qkv": Stage.QKV_BIAS,
        "attn_out": Stage.ATTN_OUT,
        "ffn_norm": Stage.FFN_NORM,
        "ffn_gate": Stage.FFN_GATE,
        "ffn_up": Stage.FFN_UP,
        "ffn_silu_gate": Stage.FFN_SILU,
        "ffn_swiglu_inner": Stage.FFN_SWIGL,
        "ffn_out": Stage.FFN_OUT,
        "output": Stage.POST_FFN_RESIDUAL,
    }
)
"""Slot -> the stage whose value it summarises, in print order."""

SLOT_OF_STAGE = MappingProxyType({stage: slot for slot, stage in SLOTS.items()})


@dataclass(frozen=True, slots=True)
class LastTokenStats:
    """The ten slots over the last position only: ``count`` is one row's width."""

    attn_norm_stats: ActivationStats = _EMPTY
    qkv_stats: ActivationStats = _EMPTY
    attn_out_stats: ActivationStats = _EMPTY
    ffn_norm_stats: ActivationStats = _EMPTY
    ffn_gate_stats: ActivationStats = _EMPTY
    ffn_up_stats: ActivationStats = _EMPTY
    ffn_silu_gate_stats: ActivationStats = _EMPTY
    ffn_swiglu_inner_stats: ActivationStats = _EMPTY
    ffn_out_stats: ActivationStats = _EMPTY
    output_stats: ActivationStats = _EMPTY

    def slot(self, name: str) -> ActivationStats:
        """Return the statistics of a slot by its short name, such as ``ffn_gate``."""
        stats: ActivationStats = getattr(self, f"{name}_stats")
        return stats


@dataclass(frozen=True, slots=True)
class LayerActivation:
    """Statistics of one layer over every token of the prompt.

    The four feed-forward fields between ``ffn_norm_stats`` and ``ffn_out_stats`` follow contract
    trace-ffn-sub-block-v1: ``ffn_gate_stats`` and ``ffn_up_stats`` are the two products (contract
    trace-ffn-sub-block-v1, TFSB-INV-002 and 003), ``ffn_silu_gate_stats`` is silu(gate) (contract
    trace-ffn-sub-block-v1, TFSB-INV-004), ``ffn_swiglu_inner_stats`` is silu(gate) * up (contract
    trace-ffn-sub-block-v1, TFSB-INV-005).
    """

    layer_idx: int
    attn_norm_stats: ActivationStats = _EMPTY
    qkv_stats: ActivationStats = _EMPTY
    attn_out_stats: ActivationStats = _EMPTY
    ffn_norm_stats: ActivationStats = _EMPTY
    ffn_gate_stats: ActivationStats = _EMPTY
    ffn_up_stats: ActivationStats = _EMPTY
    ffn_silu_gate_stats: ActivationStats = _EMPTY
    ffn_swiglu_inner_stats: ActivationStats = _EMPTY
    ffn_out_stats: ActivationStats = _EMPTY
    output_stats: ActivationStats = _EMPTY
    last_token: LastTokenStats | None = None

    def slot(self, name: str) -> ActivationStats:
        """Return the statistics of a slot by its short name, such as ``ffn_gate``."""
        stats: ActivationStats = getattr(self, f"{name}_stats")
        return stats


@dataclass(frozen=True, slots=True)
class ForwardTrace:
    """The statistics of one forward pass; ``logits`` are the last position's, float32 [vocab]."""

    input_tokens: tuple[int, ...]
    embed_stats: ActivationStats
    layer_activations: tuple[LayerActivation, ...]
    final_norm_stats: ActivationStats
    logits_stats: ActivationStats
    logits: NDArray[np.float32]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON, logits left out (they are a stage file's business)."""
        return {
            "input_tokens": list(self.input_tokens),
            "embed_stats": _plain(self.embed_stats),
            "layer_activations": [_plain(layer) for layer in self.layer_activations],
            "final_norm_stats": _plain(self.final_norm_stats),
            "logits_stats": _plain(self.logits_stats),
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """A traced run: the statistics, and the values of the stages that the plan asked for.

    ``values`` maps (stage, layer) to float32 arrays shaped as `Stage` says; the layer is None for
    whole-model stages. ``path`` is the way the run went: ``lowered``, as generation does over
    packed weights, or ``operations``.
    """

    forward: ForwardTrace
    values: dict[tuple[Stage, int | None], NDArray[np.float32]] = field(default_factory=dict)
    path: str = ""

    @property
    def logits(self) -> NDArray[np.float32]:
        """Logits of the last position, [vocab]."""
        return self.forward.logits


def _plain(stats: Any) -> dict[str, Any]:
    """Turn the nested statistics into dictionaries (dataclasses.asdict would copy arrays too)."""
    plain: dict[str, Any] = {}
    for item in fields(stats):
        value = getattr(stats, item.name)
        plain[item.name] = _plain(value) if hasattr(value, "__dataclass_fields__") else value
    return plain
