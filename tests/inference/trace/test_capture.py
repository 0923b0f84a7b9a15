from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

import inference
from inference import Model
from inference.data import TINY_MODEL
from inference.model.stages import Stage
from inference.trace.activations import SLOTS, LastTokenStats, LayerActivation
from inference.trace.capture import Recorder
from inference.trace.plan import TracePlan
from inference.trace.statistics import ActivationStats

IDS = [335, 309, 220, 17, 10, 17, 30]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with inference.load(TINY_MODEL) as model:
        yield model


def test_every_slot_of_every_layer_is_filled(model: Model) -> None:
    c, tokens = model.config, len(IDS)
    qkv = (c.heads + 2 * c.kv_heads) * c.head_dim
    trace = model.trace(IDS).forward
    assert trace.input_tokens == tuple(IDS)
    assert [layer.layer_idx for layer in trace.layer_activations] == list(range(c.layers))
    for layer in trace.layer_activations:
        assert layer.attn_norm_stats.count == tokens * c.hidden
        assert layer.qkv_stats.count == tokens * qkv
        assert layer.attn_out_stats.count == tokens * c.hidden
        assert layer.ffn_norm_stats.count == tokens * c.hidden
        assert layer.ffn_gate_stats.count == tokens * c.intermediate
        assert layer.ffn_up_stats.count == tokens * c.intermediate
        assert layer.ffn_silu_gate_stats.count == tokens * c.intermediate
        assert layer.ffn_swiglu_inner_stats.count == tokens * c.intermediate
        assert layer.ffn_out_stats.count == tokens * c.hidden
        assert layer.output_stats.count == tokens * c.hidden
        assert layer.last_token is not None
        for slot in SLOTS:
            assert layer.last_token.slot(slot).count * tokens == layer.slot(slot).count
            assert layer.last_token.slot(slot).std_dev > 0
    assert trace.embed_stats.count == trace.final_norm_stats.count == tokens * c.hidden
    assert trace.logits_stats == ActivationStats.of(trace.logits)
    assert trace.logits.shape == (c.vocab,)


def test_values_are_kept_only_where_asked(model: Model) -> None:
    plan = TracePlan((Stage.FFN_UP, Stage.LM_HEAD), range(1, 3))
    trace = model.trace(IDS, plan)
    assert list(trace.values) == [(Stage.FFN_UP, 1), (Stage.FFN_UP, 2), (Stage.LM_HEAD, None)]
    assert np.array_equal(trace.values[Stage.LM_HEAD, None].reshape(-1), trace.logits)
    for layer in (1, 2):
        value = trace.values[Stage.FFN_UP, layer]
        stats = trace.forward.layer_activations[layer]
        assert stats.ffn_up_stats == ActivationStats.of(value)
        assert stats.last_token is not None
        assert stats.last_token.ffn_up_stats == ActivationStats.of(value[-1])


def test_everything_in_canonical_order(model: Model) -> None:
    keys = list(model.trace(IDS, TracePlan(tuple(Stage), range(1))).values)
    assert [stage for stage, _ in keys] == list(Stage)


def test_one_token_is_its_own_last_token(model: Model) -> None:
    for layer in model.trace([5]).forward.layer_activations:
        assert layer.last_token is not None
        for slot in SLOTS:
            assert layer.slot(slot) == layer.last_token.slot(slot)


def test_kept_values_are_copies(model: Model) -> None:
    recorder = Recorder(TracePlan((Stage.FFN_UP,)))
    value = np.ones((2, 3), np.float32)
    recorder.observe(Stage.FFN_UP, 0, value)
    value[:] = 7
    kept = recorder.finish((1, 2), np.zeros(1, np.float32)).values[Stage.FFN_UP, 0]
    assert np.all(kept == 1)


def test_unwanted_stages_are_not_offered() -> None:
    recorder = Recorder(TracePlan((Stage.ATTN_SCORES,), range(2, 3)))
    assert recorder.wants(Stage.ATTN_SCORES, 2)
    assert not recorder.wants(Stage.ATTN_SCORES, 1)
    assert not recorder.wants(Stage.ATTN_SOFTMAX, 2)
    assert recorder.wants(Stage.FFN_OUT, 1)


def test_a_layer_without_gate_has_empty_slots() -> None:
    recorder = Recorder(TracePlan())
    recorder.observe(Stage.FFN_OUT, 4, np.ones((1, 2), np.float32))
    (layer,) = recorder.finish((1,), np.zeros(1, np.float32)).forward.layer_activations
    assert layer.layer_idx == 4
    assert layer.ffn_gate_stats == layer.ffn_up_stats == ActivationStats()
    assert LayerActivation(0).last_token is None
    assert LastTokenStats().ffn_silu_gate_stats.count == 0


def test_json_is_plain(model: Model) -> None:
    document = json.loads(json.dumps(model.trace(IDS).forward.to_json(), allow_nan=False))
    assert document["input_tokens"] == IDS
    gate = document["layer_activations"][0]["last_token"]["ffn_gate_stats"]
    assert gate["count"] == model.config.intermediate
