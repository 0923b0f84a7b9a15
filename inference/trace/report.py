"""A forward trace as text: the same blocks for every model format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inference.trace.activations import SLOTS, ForwardTrace, LayerActivation
from inference.trace.statistics import ActivationStats

LABELS = {"ffn_silu_gate": "ffn_silu", "ffn_swiglu_inner": "ffn_swigl"}
"""Slots whose printed name is the wire name of their stage."""

_GATED = ("ffn_gate", "ffn_up", "ffn_silu_gate", "ffn_swiglu_inner")
_COLOURS = ((100.0, "red"), (50.0, "yellow"), (10.0, "blue"))
_CAUSES = (
    "weight overflow in dequantization",
    "missing attention scaling",
    "wrong RoPE frequencies",
)


class Line(NamedTuple):
    """One line of a report; ``colour`` is a terminal colour's name or None."""

    text: str
    colour: str | None = None


def render_forward(trace: ForwardTrace) -> Iterator[Line]:
    """Yield the lines of a trace; the listing ends at the first layer with NaN or infinities."""
    yield from map(_as_line, _blocks(trace))


def _as_line(line: str | Line) -> Line:
    return line if isinstance(line, Line) else Line(line)


def _blocks(trace: ForwardTrace) -> Iterator[str | Line]:
    yield "FORWARD PASS (with layer tracing):"
    yield ""
    yield "EMBEDDING:"
    yield from _range(trace.embed_stats, 4)
    yield ""
    yield "LAYER-BY-LAYER ACTIVATIONS:"
    yield "  std > 100 red, > 50 yellow, > 10 blue, else green"
    for layer in trace.layer_activations:
        yield from _layer(layer, len(trace.layer_activations))
        if _broken(layer):
            yield "  CRITICAL: NaN or Inf. Possible causes:"
            yield from (f"    {i}. {cause}" for i, cause in enumerate(_CAUSES, 1))
            break
    yield ""
    yield "FINAL LAYER NORM:"
    yield from _range(trace.final_norm_stats, 6)
    yield ""
    yield "LM_HEAD output:"
    yield from _logits(trace)
    yield ""
    yield "TRACE SUMMARY:"
    yield from _summary(trace)


def colour_of(std: float) -> str:
    """Return the colour of a standard deviation in the legend."""
    return next((colour for limit, colour in _COLOURS if std > limit), "green")


def _all_stats(layer: LayerActivation) -> list[tuple[str, ActivationStats]]:
    return [(slot, layer.slot(slot)) for slot in SLOTS]


def _broken(layer: LayerActivation) -> bool:
    return any(stats.nan_count or stats.inf_count for _, stats in _all_stats(layer))


def _layer(layer: LayerActivation, total: int) -> Iterator[str | Line]:
    status = "OK"
    if _broken(layer):
        status = "ANOMALY"
    elif layer.output_stats.std_dev > 100.0:
        status = "HIGH-VAR"
    yield f"Layer {layer.layer_idx:2d}/{total} [{status}]"
    gated = layer.ffn_gate_stats.count > 0 or layer.ffn_up_stats.count > 0
    for slot, stats in _all_stats(layer):
        if slot in _GATED and not gated:
            continue
        line = f"  {LABELS.get(slot, slot)}: mean={stats.mean:8.4f} std={stats.std_dev:8.4f}"
        if stats.nan_count:
            line += f" NaN:{stats.nan_count}"
        if stats.inf_count:
            line += f" Inf:{stats.inf_count}"
        yield Line(line, colour_of(stats.std_dev))


def _range(stats: ActivationStats, decimals: int) -> Iterator[str]:
    d = decimals
    yield f"  Range: [{stats.min:.{d}f}, {stats.max:.{d}f}]"
    yield f"  Mean: {stats.mean:.{d}f}"
    yield f"  Std: {stats.std_dev:.{d}f}"


def _logits(trace: ForwardTrace) -> Iterator[str]:
    logits, stats = trace.logits, trace.logits_stats
    yield f"  Vocab size: {logits.size}"
    yield f"  L2 norm: {np.linalg.norm(logits.astype(np.float64)):.4f}"
    yield f"  Range: [{stats.min:.4f}, {stats.max:.4f}]"
    yield f"  Mean: {stats.mean:.4f}"
    yield "  Top 5 predictions:"
    for rank, token in enumerate(top_tokens(trace, 5), 1):
        yield f"    {rank}. token_id={token}, logit={logits[token]:.4f}"


def top_tokens(trace: ForwardTrace, count: int) -> list[int]:
    """Return the ids of the ``count`` largest logits, best first, lower ids first among equals."""
    return [int(i) for i in np.argsort(-trace.logits, kind="stable")[:count]]


def _summary(trace: ForwardTrace) -> Iterator[str]:
    nans = sum(s.nan_count for layer in trace.layer_activations for _, s in _all_stats(layer))
    infs = sum(s.inf_count for layer in trace.layer_activations for _, s in _all_stats(layer))
    nans, infs = nans + trace.logits_stats.nan_count, infs + trace.logits_stats.inf_count
    if nans or infs:
        yield f"  NaN: {nans}, Inf: {infs}"
        return
    high = [layer for layer in trace.layer_activations if layer.output_stats.std_dev > 50.0]
    if high:
        peak = max(high, key=lambda layer: layer.output_stats.std_dev)
        std = peak.output_stats.std_dev
        yield f"  {len(high)} layers with std > 50; peak layer {peak.layer_idx} (std {std:.2f})"
        if std > 100.0:
            yield "  WARNING: std above 100"
    else:
        yield "  Activations look reasonable"
    spread = trace.logits_stats.max - trace.logits_stats.min
    if spread < 1.0:
        yield f"  WARNING: logit range {spread:.4f} is below 1.0; the model cannot decide"
    elif spread > 100.0:
        yield f"  WARNING: logit range {spread:.4f} is above 100.0"
