from __future__ import annotations

import ast
import statistics
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import inference
from inference import Model
from inference.errors import DeviceUnavailableError
from inference.formats import open_model
from inference.formats.names import to_hf
from inference.formats.overlay import Overlay, tensor_values
from inference.kernels.matmul.reference import matmul
from inference.kernels.silu.reference import silu
from inference.kernels.swiglu.reference import swiglu
from inference.model.ops import Linear, Observe, SwiGlu
from inference.model.stages import Stage
from inference.trace.activations import SLOTS, ForwardTrace, LayerActivation, Trace
from inference.trace.capture import Recorder
from inference.trace.plan import TracePlan
from inference.trace.report import render_forward
from inference.trace.statistics import ActivationStats
from pytest_contracts.symbolic import Draws

Compared = Callable[..., object]
Load = Callable[[Path, str], Model]
Printed = Callable[[Path], str]

PROMPT = "What is 2+2?"
NUMERICS = ("f32", "fused")
BEFORE = ("attn_norm", "qkv", "attn_out", "ffn_norm", "ffn_out", "output")
ADDED = ("ffn_gate", "ffn_up", "ffn_silu_gate", "ffn_swiglu_inner")
PRINTED = [
    "attn_norm",
    "qkv",
    "attn_out",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_silu",
    "ffn_swigl",
    "ffn_out",
    "output",
]
SUB_STAGES = (Stage.FFN_GATE, Stage.FFN_UP, Stage.FFN_SILU, Stage.FFN_SWIGL)
TESTS = Path(__file__).parents[2] / "tests" / "inference" / "trace"


def trace_of(model: Model, *stages: Stage) -> Trace:
    """Trace the prompt and keep the values of ``stages`` of every layer."""
    return model.trace(model.tokenizer.encode(PROMPT), TracePlan(stages))


def four_fields_were_added(compared: Compared) -> None:
    """The record has its six older statistics and the four new ones, no more and no fewer."""
    names = {f.name for f in fields(LayerActivation)} - {"layer_idx", "last_token"}
    assert names == {f"{slot}_stats" for slot in (*BEFORE, *ADDED)}
    assert len(BEFORE) == 6
    assert len(names) == 10
    compared(len(names), what="fields")


def products_are_the_matmuls(
    part: str, gguf_path: Path, load_cached: Load, compared: Compared
) -> None:
    """The statistics of gate or up are those of ffn_norm times the matrix, in float64."""
    model = load_cached(gguf_path, "f32")
    stage = Stage(f"ffn_{part}")
    trace = trace_of(model, Stage.FFN_NORM, stage)
    for layer in (0, model.config.layers - 1):
        x = trace.values[Stage.FFN_NORM, layer].astype(np.float64)
        matrix = tensor_values(model.file, f"blk.{layer}.ffn_{part}.weight").astype(np.float64)
        expected = x @ matrix.T
        np.testing.assert_allclose(
            trace.values[stage, layer], expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )
        stats = trace.forward.layer_activations[layer].slot(f"ffn_{part}")
        assert stats.std_dev == pytest.approx(float(expected.std(ddof=1)), rel=1e-4)
        assert stats.count == expected.size
        compared(expected.size, what="elements")


def gated_stages_are_defined(
    slot: str, gguf_path: Path, load_cached: Load, compared: Compared
) -> None:
    """The silu and product slots summarise silu(gate) and silu(gate) · up of the same run."""
    for numerics in NUMERICS:
        elements = check_gate(load_cached(gguf_path, numerics), slot)
        compared(elements, what=f"elements, {numerics}")


def check_gate(model: Model, slot: str) -> int:
    """Check one slot of every layer on one numeric path; return the number of elements."""
    trace, elements = trace_of(model, *SUB_STAGES), 0
    for layer in range(model.config.layers):
        gate = trace.values[Stage.FFN_GATE, layer].astype(np.float64)
        expected = gate / (1.0 + np.exp(-gate))
        if slot == "ffn_swiglu_inner":
            expected = expected * trace.values[Stage.FFN_UP, layer].astype(np.float64)
        value = trace.values[SLOTS[slot], layer]
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
        stats = trace.forward.layer_activations[layer].slot(slot)
        assert stats == ActivationStats.of(value)
        elements += value.size
    return elements


def capture_leaves_the_output(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """ffn_out and its statistics have the same bits with and without the four sub-stages."""
    for numerics in NUMERICS:
        elements = check_output(load_cached(gguf_path, numerics))
        compared(elements, what=f"elements, {numerics}")


def check_output(model: Model) -> int:
    """Compare every layer's output on one numeric path; return the number of elements."""
    elements = 0
    alone, with_parts = trace_of(model, Stage.FFN_OUT), trace_of(model, Stage.FFN_OUT, *SUB_STAGES)
    for layer in range(model.config.layers):
        a, b = (t.values[Stage.FFN_OUT, layer] for t in (alone, with_parts))
        assert a.tobytes() == b.tobytes()
        left, right = (t.forward.layer_activations[layer] for t in (alone, with_parts))
        assert left.ffn_out_stats == right.ffn_out_stats == ActivationStats.of(a)
        elements += a.size
    return elements


def lines_are_in_order(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Each layer's block prints the ten slots in the order of computation."""
    trace = trace_of(load_cached(gguf_path, "fused")).forward
    blocks = layer_blocks([line.text for line in render_forward(trace)])
    assert len(blocks) == len(trace.layer_activations)
    for block in blocks:
        assert block == PRINTED
    compared(sum(map(len, blocks)), what="lines")


def layer_blocks(lines: list[str]) -> list[list[str]]:
    """Return the names printed under each layer's headline."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith("Layer "):
            blocks.append([])
        elif not line.startswith("  "):
            continue
        elif blocks and ": mean=" in line:
            blocks[-1].append(line.split(":")[0].strip())
    return blocks


def json_keys_grew_by_four(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """The JSON of a layer has the older keys and the four new ones, for all tokens and the last."""
    document = trace_of(load_cached(gguf_path, "fused")).forward.to_json()
    expected = {f"{slot}_stats" for slot in (*BEFORE, *ADDED)}
    for layer in document["layer_activations"]:
        assert layer.keys() == expected | {"layer_idx", "last_token"}
        assert layer["last_token"].keys() == expected
        compared(len(expected), what="keys")


def spike_is_localised(slot: str, gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """A matrix of layer 3 scaled by 20 makes one of five slots stand out, and names it."""
    tensors = {"ffn_gate": "ffn_gate", "ffn_up": "ffn_up", "ffn_out": "ffn_down"}
    name = f"blk.3.{tensors[slot]}.weight"
    model = load_cached(gguf_path, "fused")
    healthy = trace_of(model).forward
    file = open_model(gguf_path)
    loud = Overlay(file, {name: tensor_values(file, name) * np.float32(20)})
    with Model(loud, f32_cache_bytes=0) as ill:
        spiked = ill.trace(model.tokenizer.encode(PROMPT)).forward
    first = next(
        candidate
        for candidate in (*ADDED, "ffn_out")
        if spike_ratio(spiked, healthy, candidate) >= 3.0
    )
    assert first == slot
    for earlier in (*ADDED, "ffn_out")[: (*ADDED, "ffn_out").index(slot)]:
        assert 0.5 <= spike_ratio(spiked, healthy, earlier) <= 2.0
    assert 0.5 <= spike_ratio(healthy, healthy, slot) <= 2.0
    compared(5, what="slots")


def spike_ratio(trace: ForwardTrace, healthy: ForwardTrace, slot: str) -> float:
    """Layer 3's spread over the median of the healthy layers' relative to theirs."""
    ratios = [
        layer.slot(slot).std_dev / other.slot(slot).std_dev
        for layer, other in zip(trace.layer_activations, healthy.layer_activations, strict=True)
    ]
    return ratios[3] / statistics.median(ratios[:3])


def slots_name_their_matrices(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Each slot is observed right after the operation that its name promises."""
    model = load_cached(gguf_path, "fused")
    promised = {
        Stage.FFN_GATE: "gate_proj",
        Stage.FFN_UP: "up_proj",
        Stage.FFN_SWIGL: "swiglu",
        Stage.FFN_OUT: "down_proj",
    }
    seen = 0
    for op, following in zip(model.program.ops, model.program.ops[1:], strict=False):
        if not isinstance(following, Observe) or following.stage not in promised:
            continue
        if isinstance(op, SwiGlu):
            step = "swiglu"
        else:
            assert isinstance(op, Linear)
            step = to_hf(op.weight.name, model.config.architecture).split(".")[-2]
        assert step == promised[following.stage]
        seen += 1
    assert seen == len(promised) * model.config.layers
    compared(seen, what="operations")


def no_backend_leaves_gaps(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Every backend that runs a model fills all slots; one that cannot run it says so."""
    backends = {"cpu": "runs", "cuda": "refuses"}
    for backend, expected in backends.items():
        try:
            with inference.load(gguf_path, backend=backend) as model:
                trace = trace_of(model).forward
        except DeviceUnavailableError:
            assert expected == "refuses"
            continue
        assert expected == "runs"
        for layer in trace.layer_activations:
            for slot in SLOTS:
                assert layer.slot(slot).count > 0
    compared(len(backends), what="backends")


def ten_lines_per_layer(
    gguf_path: Path, apr_path: Path, load_cached: Load, printed_trace: Printed, compared: Compared
) -> None:
    """`apr trace --payload` prints each of the ten slots once per layer, for both formats."""
    layers = load_cached(gguf_path, "fused").config.layers
    for path in (gguf_path, apr_path):
        blocks = layer_blocks(printed_trace(path).splitlines())
        assert blocks == [PRINTED] * layers
        compared(10 * layers, what="lines")


def vectors_have_the_width(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """The four values are [tokens, intermediate], their last-token statistics over one row."""
    model = load_cached(gguf_path, "fused")
    trace = trace_of(model, *SUB_STAGES)
    width, tokens = model.config.intermediate, len(trace.forward.input_tokens)
    for layer in trace.forward.layer_activations:
        for slot, stage in zip(ADDED, SUB_STAGES, strict=True):
            assert trace.values[stage, layer.layer_idx].shape == (tokens, width)
            assert layer.slot(slot).count == tokens * width
            assert layer.last_token is not None
            assert layer.last_token.slot(slot).count == width
            compared(1, what="vectors")


def documentation_names_the_contract(compared: Compared) -> None:
    """The record's documentation mentions this contract for each of the four fields."""
    text = " ".join((LayerActivation.__doc__ or "").split())
    assert text.count("trace-ffn-sub-block-v1") >= 4
    for slot in ADDED:
        assert f"``{slot}_stats``" in text
    compared(len(ADDED), what="fields")


def fields_are_asserted(compared: Compared) -> None:
    """Each of the ten fields appears in an assertion of the tests of tracing."""
    asserted = ""
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        asserted += "\n".join(
            ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)
        )
    missing = [slot for slot in SLOTS if f"{slot}_stats" not in asserted]
    assert not missing, f"no test asserts {missing}"
    compared(len(SLOTS), what="fields")


def field_set_is_monotone(k: Draws) -> None:
    """Whichever of the ten fields is asked for, it exists and starts empty."""
    slot = list(SLOTS)[k.int("slot", 0, len(SLOTS) - 1)]
    layer = LayerActivation(k.bound)
    assert layer.slot(slot) == ActivationStats()
    assert layer.last_token is None


def silu_element(k: Draws) -> None:
    """silu lies between x and 0: never below −0.2785, above x for negative x."""
    x = k.int("x", -k.bound, k.bound)
    y = silu(float(x))
    k.cover("negative", x < 0)
    assert -0.2785 < y <= max(x, 0)
    assert y >= x if x <= 0 else 0 < y < x


def inner_product_element(k: Draws) -> None:
    """The product is silu(gate) · up, the activation on the gate and never on up."""
    gate, up = k.int("gate", -k.bound, k.bound), k.int("up", -k.bound, k.bound)
    k.cover("the order matters", gate != up)
    value = swiglu([float(gate)], [float(up)])[0]
    assert abs(value - silu(float(gate)) * up) <= 1e-12 * max(1.0, abs(value))
    if up == 0 or gate == 0:
        assert value == 0


def ffn_out_is_preserved(k: Draws) -> None:
    """Whichever of the four sub-stages are recorded, ffn_out's statistics stay the same."""
    chosen = tuple(
        stage for i, stage in enumerate(SUB_STAGES) if i < k.bound and k.bool(f"record_{i}")
    )
    values = np.array([[1.0, -2.0, 0.5]], np.float32)
    recorder = Recorder(TracePlan(chosen))
    for stage in (*chosen, Stage.FFN_OUT):
        recorder.observe(stage, 0, values if stage is Stage.FFN_OUT else values * 3)
    (layer,) = recorder.finish((1,), values[0]).forward.layer_activations
    assert layer.ffn_out_stats == ActivationStats.of(values)


def print_order(k: Draws) -> None:
    """Of any two slots the earlier one is printed first."""
    i = k.int("earlier", 0, k.bound - 2)
    j = k.int("later", i + 1, k.bound - 1)
    names = list(SLOTS)
    some = ActivationStats(count=1)
    layer = LayerActivation(0, **{f"{slot}_stats": some for slot in names})
    none = ActivationStats()
    trace = ForwardTrace((1,), none, (layer,), none, none, np.zeros(1, np.float32))
    (block,) = layer_blocks([line.text for line in render_forward(trace)])
    assert block.index(PRINTED[i]) < block.index(PRINTED[j])
    assert block == PRINTED


def json_keys(k: Draws) -> None:
    """Whichever field is asked for, the JSON of a layer has it."""
    slot = list(SLOTS)[k.int("slot", 0, len(SLOTS) - 1)]
    none = ActivationStats()
    trace = ForwardTrace((), none, (LayerActivation(k.bound),), none, none, np.zeros(0, np.float32))
    (layer,) = trace.to_json()["layer_activations"]
    assert layer[f"{slot}_stats"]["count"] == 0
    assert layer.keys() == {f"{name}_stats" for name in SLOTS} | {"layer_idx", "last_token"}


def gate_statistics(k: Draws) -> None:
    """The gate slot's statistics are those of the product, exactly, for small integers."""
    product_statistics(k, Stage.FFN_GATE)


def up_statistics(k: Draws) -> None:
    """The up slot's statistics are those of the product, exactly, for small integers."""
    product_statistics(k, Stage.FFN_UP)


def product_statistics(k: Draws, stage: Stage) -> None:
    """Multiply a vector by a 3 × 2 matrix and compare its record with exact rational numbers."""
    x = [k.int("x0", -1, 1), k.int("x1", -1, 1)]
    weight = [[1, k.bound], [-2, 1], [k.int("w", -k.bound, k.bound), 0]]
    columns = [[float(row[i]) for row in weight] for i in range(2)]
    product = matmul([[float(value) for value in x]], columns)
    exact = [sum(a * b for a, b in zip(x, row, strict=True)) for row in weight]
    recorder = Recorder(TracePlan())
    recorder.observe(stage, 0, np.array(product, np.float32))
    (layer,) = recorder.finish((1,), np.zeros(1, np.float32)).forward.layer_activations
    stats = layer.ffn_gate_stats if stage is Stage.FFN_GATE else layer.ffn_up_stats
    mean = Fraction(sum(exact), 3)
    variance = sum((value - mean) ** 2 for value in exact) / 2
    assert (stats.min, stats.max, stats.count) == (min(exact), max(exact), 3)
    assert abs(stats.mean - float(mean)) < 1e-12
    assert abs(stats.std_dev**2 - float(variance)) < 1e-9
    assert stats.zero_count == exact.count(0)
