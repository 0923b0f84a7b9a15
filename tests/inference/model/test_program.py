"""The program of operations: complete, in order, and equal to what files must hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference import Model
from inference.errors import UnsupportedArchitectureError
from inference.formats.validate import expected_shapes
from inference.model.decoder import build_program
from inference.model.ops import AddBias, LastRow, Linear, Observe
from inference.model.stages import Stage

COMPUTED_INSIDE = {Stage.ATTN_SCORES, Stage.ATTN_SOFTMAX, Stage.FFN_SILU}


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_the_file_format(of_architecture: Model, tied: bool) -> None:
    config = replace(of_architecture.config, tied_embeddings=tied)
    parameters = {p.name: p.shape for p in build_program(config).parameters()}
    assert parameters == dict(expected_shapes(config))


def test_divisors_of_the_frequencies_are_one_more_tensor(tiny: Model) -> None:
    config = replace(tiny.config, architecture="llama", biases=(), rope_divisors=True)
    parameters = {p.name: p.shape for p in build_program(config).parameters()}
    assert parameters == dict(expected_shapes(config))
    assert parameters["rope_freqs.weight"] == (config.head_dim // 2,)


def test_unknown_architecture_lists_the_known(tiny: Model) -> None:
    with pytest.raises(UnsupportedArchitectureError, match=r"'gpt9' is not implemented.*qwen2"):
        build_program(replace(tiny.config, architecture="gpt9"))


def test_every_stage_is_observed_once_per_layer(of_architecture: Model) -> None:
    model = of_architecture
    seen = [(op.stage, op.layer) for op in model.program.ops if isinstance(op, Observe)]
    layers = range(model.config.layers)
    expected = [
        (stage, layer)
        for stage in Stage
        for layer in ([None] if stage.whole_model else [0] if stage.first_layer_only else layers)
        if stage not in COMPUTED_INSIDE
    ]
    assert sorted(seen, key=str) == sorted(expected, key=str)


def test_only_the_last_row_meets_the_vocabulary(tiny: Model) -> None:
    ops = tiny.program.ops
    head = max(i for i, op in enumerate(ops) if isinstance(op, Linear))
    assert isinstance(ops[head - 1], LastRow)


def test_bias_is_a_matter_of_configuration(tiny: Model) -> None:
    with_bias = [op for op in tiny.program.ops if isinstance(op, AddBias)]
    without = build_program(replace(tiny.config, biases=()))
    assert len(with_bias) == 3 * tiny.config.layers
    assert not any(isinstance(op, AddBias) for op in without.ops)
