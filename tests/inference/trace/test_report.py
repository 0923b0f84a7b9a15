from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import inference
from inference.data import TINY_MODEL
from inference.trace.activations import ForwardTrace, LayerActivation
from inference.trace.report import colour_of, render_forward
from inference.trace.statistics import ActivationStats

SOME = ActivationStats(min=-1.0, max=1.0, mean=0.25, std_dev=0.5, count=4)
TITLES = [
    "FORWARD PASS (with layer tracing):",
    "EMBEDDING:",
    "LAYER-BY-LAYER ACTIVATIONS:",
    "FINAL LAYER NORM:",
    "LM_HEAD output:",
    "TRACE SUMMARY:",
]


def layer(index: int, output: ActivationStats = SOME, **slots: ActivationStats) -> LayerActivation:
    return LayerActivation(index, SOME, SOME, SOME, SOME, output_stats=output, **slots)


def forward(*layers: LayerActivation, logits: tuple[float, ...] = (0.0, 3.0, 1.0)) -> ForwardTrace:
    values = np.array(logits, np.float32)
    return ForwardTrace((1,), SOME, layers, SOME, ActivationStats.of(values), values)


def text(trace: ForwardTrace) -> list[str]:
    return [line.text for line in render_forward(trace)]


def test_blocks_come_in_order() -> None:
    with inference.load(TINY_MODEL) as model:
        lines = text(model.trace([1, 2, 3]).forward)
    assert [line for line in lines if line in TITLES] == TITLES
    assert sum(line.startswith("  ffn_swigl: mean=") for line in lines) == 4
    assert lines[-1] == "  Activations look reasonable"


def test_numbers_and_best_tokens() -> None:
    lines = text(forward(layer(0)))
    assert "  Mean: 0.2500" in lines
    assert "  Mean: 0.250000" in lines
    assert "Layer  0/1 [OK]" in lines
    assert "  attn_norm: mean=  0.2500 std=  0.5000" in lines
    assert "    1. token_id=1, logit=3.0000" in lines
    assert "    3. token_id=0, logit=0.0000" in lines


def test_a_model_without_gate_has_six_lines() -> None:
    lines = text(forward(layer(0)))
    assert sum(": mean=" in line for line in lines) == 6
    lines = text(forward(layer(0, ffn_up_stats=SOME)))
    assert sum(": mean=" in line for line in lines) == 10


def test_nan_is_critical_and_ends_the_listing() -> None:
    bad = replace(SOME, nan_count=3, inf_count=2)
    lines = text(forward(layer(0), layer(1, bad), layer(2)))
    assert "Layer  1/3 [ANOMALY]" in lines
    assert "  output: mean=  0.2500 std=  0.5000 NaN:3 Inf:2" in lines
    assert any("CRITICAL" in line for line in lines)
    assert not any(line.startswith("Layer  2") for line in lines)
    assert lines[-1] == "  NaN: 3, Inf: 2"


@pytest.mark.parametrize(
    ("std", "headline", "summary"),
    [
        (60.0, "[OK]", "1 layers with std > 50; peak layer 1 (std 60.00)"),
        (120.0, "[HIGH-VAR]", "WARNING: std above 100"),
    ],
)
def test_wide_layers_are_named(std: float, headline: str, summary: str) -> None:
    lines = text(forward(layer(0), layer(1, replace(SOME, std_dev=std))))
    assert f"Layer  1/2 {headline}" in lines
    assert any(summary in line for line in lines)


@pytest.mark.parametrize(
    ("logits", "limit"), [((0.0, 0.5), "below 1.0"), ((0.0, 101.0), "above 100")]
)
def test_odd_logits_are_named(logits: tuple[float, ...], limit: str) -> None:
    assert limit in text(forward(layer(0), logits=logits))[-1]


def test_colours() -> None:
    assert [colour_of(std) for std in (101, 51, 11, 10)] == ["red", "yellow", "blue", "green"]
    colours = {line.colour for line in render_forward(forward(layer(0)))}
    assert colours == {None, "green"}
