from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from typer.testing import CliRunner

from inference import Model
from inference.backends.cpu.linear import FLOAT, INT8
from inference.errors import InputError
from inference.formats import open_model
from inference.formats.overlay import Overlay, tensor_values
from inference.kernels.qmatmul import LAUNCHES
from inference.model.stages import Stage
from inference.quant.types import block_size
from inference.trace.activations import SLOTS, ForwardTrace, LayerActivation, Trace
from inference.trace.parity import (
    count_mismatches,
    first_divergence,
    layer_ratios,
    slot_counts,
    std_ratio,
    within_band,
)
from inference.trace.plan import TracePlan
from inference.trace.statistics import ActivationStats
from pytest_contracts.cli import app as pv
from pytest_contracts.symbolic import Draws

Compared = Callable[..., object]
Load = Callable[[Path, str], Model]
Printed = Callable[[Path], str]

PROMPT = "What is 2+2?"
NUMERICS = ("f32", "fused")
RATIO_BAND = (0.5, 2.0)
GATE_BAND = (0.7, 1.4)
REFERENCE_LAYER = 3
SLOT_STAGES = tuple(SLOTS.values())
CONTRACT = Path(__file__).with_name("apr-vs-gguf-forward-parity-v1.yaml")

# Twice the largest figure measured between the two numeric paths; see the contract's derivation.
STD_NOISE = 0.05
VALUE_NOISE = dict.fromkeys(SLOTS, 0.08) | {"attn_out": 0.2}

_traces: WeakKeyDictionary[Model, Trace] = WeakKeyDictionary()


def traced(model: Model) -> Trace:
    """Trace the prompt through a model, once per model and run."""
    if model not in _traces:
        ids = model.tokenizer.encode(PROMPT)
        _traces[model] = model.trace(ids, TracePlan(SLOT_STAGES))
        model.release_f32()
    return _traces[model]


def path_pairs(
    gguf_path: Path, apr_path: Path, load_cached: Load
) -> Iterator[tuple[str, Trace, Trace]]:
    """Yield (label, APR trace, GGUF trace) for every combination of numeric paths."""
    for apr_side, gguf_side in itertools.product(NUMERICS, NUMERICS):
        yield (
            f"APR {apr_side} / GGUF {gguf_side}",
            traced(load_cached(apr_path, apr_side)),
            traced(load_cached(gguf_path, gguf_side)),
        )


def layer_of(trace: Trace, layer: int) -> LayerActivation:
    """Return the statistics of one layer."""
    found = trace.forward.layer_activations[layer]
    assert found.layer_idx == layer
    return found


def samples(trace: Trace, layer: int, slot: str) -> Iterator[tuple[str, ActivationStats]]:
    """Yield a slot's statistics over all tokens and over the last one."""
    activation = layer_of(trace, layer)
    assert activation.last_token is not None
    yield "all tokens", activation.slot(slot)
    yield "last token", activation.last_token.slot(slot)


def check_ratio(
    apr: Trace, gguf: Trace, layer: int, slot: str, band: tuple[float, float], label: str = ""
) -> int:
    """Assert that the std ratio of one slot lies in ``band``; return how many ratios that was."""
    ratios = 0
    for (where, a), (_, g) in zip(
        samples(apr, layer, slot), samples(gguf, layer, slot), strict=True
    ):
        ratio = std_ratio(a, g)
        assert within_band(ratio, *band), (
            f"{label}: layer {layer} {slot}, {where}: std ratio {a.std_dev:.6g} / "
            f"{g.std_dev:.6g} = {ratio:.4f} is outside [{band[0]}, {band[1]}]"
        )
        ratios += 1
    return ratios


def check_noise(apr: Trace, gguf: Trace, layer: int, label: str = "") -> int:
    """Assert that all ten slots differ by no more than the numeric paths do; return the count."""
    elements = 0
    for slot, stage in SLOTS.items():
        band = (1 / (1 + STD_NOISE), 1 + STD_NOISE)
        check_ratio(apr, gguf, layer, slot, band, label)
        a = apr.values[stage, layer].astype(np.float64)
        g = gguf.values[stage, layer].astype(np.float64)
        error = float(np.linalg.norm(a - g) / np.linalg.norm(g))
        assert error <= VALUE_NOISE[slot], (
            f"{label}: layer {layer} {slot}: relative error {error:.4f} > {VALUE_NOISE[slot]}"
        )
        elements += a.size
    return elements


def per_layer_ratio(
    gguf_path: Path, apr_path: Path, load_cached: Load, layer: int, compared: Compared
) -> None:
    """The spread of ffn_swigl agrees within a factor of two."""
    for label, apr, gguf in path_pairs(gguf_path, apr_path, load_cached):
        ratios = check_ratio(apr, gguf, layer, "ffn_swiglu_inner", RATIO_BAND, label)
        compared(ratios, what="std ratios")


def reference_layer_ratio(
    gguf_path: Path, apr_path: Path, load_cached: Load, compared: Compared
) -> None:
    """Layer 3, where the anomaly was first seen, agrees within a factor of two."""
    per_layer_ratio(gguf_path, apr_path, load_cached, REFERENCE_LAYER, compared)


def gate_ratio(gguf_path: Path, apr_path: Path, load_cached: Load, compared: Compared) -> None:
    """The gate product of layer 3, the cause and not the symptom, agrees."""
    for label, apr, gguf in path_pairs(gguf_path, apr_path, load_cached):
        ratios = check_ratio(apr, gguf, REFERENCE_LAYER, "ffn_gate", GATE_BAND, label)
        compared(ratios, what="std ratios")


def contract_validates(compared: Compared) -> None:
    """`pv validate` accepts this contract."""
    result = CliRunner().invoke(pv, ["validate", str(CONTRACT)])
    assert result.exit_code == 0, result.output
    compared(1, what="contracts validated")


def kernels_follow_types(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Packed matrices are multiplied in integers, float ones in float32, on the fused path."""
    model = load_cached(gguf_path, "fused")
    check_dispatch(model, "lowered", compared)
    with Model(open_model(gguf_path), lowered=False) as single:
        check_dispatch(single, "operations", compared)
    with Model(as_float(gguf_path), numerics="fused") as native:
        replaced = {d.tensor for d in native.dispatch if d.dtype.name == "F32"}
        assert replaced, "no F32 matrix in the F32 model"
        check_dispatch(native, "operations", compared)


def check_dispatch(model: Model, path: str, compared: Compared) -> None:
    """Check a run that generates and one that is watched: both go one way, and it is said."""
    assert model.capabilities.path == path, model.capabilities
    assert (path == "lowered") == (model.capabilities.reason == "")
    for run in (model.session().advance, model.trace):
        check_run(model, run, compared)
    assert model.trace([1]).path == path


def check_run(model: Model, run: Callable[[list[int]], object], compared: Compared) -> None:
    """Run one token and compare the dispatch log and the kernels' own counters with the types."""
    calls = {d.tensor: d.calls for d in model.dispatch}
    launched = LAUNCHES.total()
    run([1])
    launched = LAUNCHES.total() - launched
    # An untied embedding is only looked up.
    unused = None if model.config.tied_embeddings else "token_embd.weight"
    integer = 0
    for d in model.dispatch:
        packed = block_size(d.dtype) > 1
        assert d.product == (INT8 if packed else FLOAT), f"{d.tensor} ({d.dtype.name}): {d.product}"
        assert (f".{d.dtype.name.lower()}" in d.kernel) == packed, f"{d.tensor}: {d.kernel}"
        ran = d.calls - calls[d.tensor]
        assert ran == (d.tensor != unused), f"{d.tensor} ran {ran} times"
        integer += ran * packed
    assert launched == integer, f"{launched} integer products ran, the log says {integer}"
    compared(len(calls), what="matrices")


def as_float(path: Path) -> Overlay:
    """Open a model with its matrices as F32: all of a small one, the first layer's of a large."""
    file = open_model(path)
    names = [name for name, info in file.tensors.items() if len(info.shape) == 2]
    if sum(4 * math.prod(file.tensors[name].shape) for name in names) > 1 << 28:
        names = [name for name in names if name.startswith("blk.0.")]
    return Overlay(file, {name: tensor_values(file, name) for name in names})


def trace_prints_every_layer(
    gguf_path: Path, apr_path: Path, load_cached: Load, printed_trace: Printed, compared: Compared
) -> None:
    """`apr trace --payload` prints one ffn_swigl line per layer, for both formats."""
    layers = load_cached(gguf_path, "fused").config.layers
    for path in (gguf_path, apr_path):
        printed = printed_trace(path).splitlines()
        lines = [line for line in printed if line.strip().startswith("ffn_swigl:")]
        assert len(lines) == layers, f"{path.name}: {len(lines)} ffn_swigl lines, {layers} layers"
        compared(len(lines), what="ffn_swigl lines")


def counts_agree(
    gguf_path: Path, apr_path: Path, load_cached: Load, layer: int, compared: Compared
) -> None:
    """Both reporters summarise the same elements in all ten slots: every token, then the last."""
    model = load_cached(gguf_path, "fused")
    c, tokens = model.config, len(traced(model).forward.input_tokens)
    qkv = (c.heads + 2 * c.kv_heads) * c.head_dim
    gguf = layer_of(traced(model), layer)
    apr = layer_of(traced(load_cached(apr_path, "fused")), layer)
    checked = 0
    for counts in slot_counts(apr, gguf):
        width = {"qkv": qkv, "ffn_gate": c.intermediate, "ffn_up": c.intermediate}.get(
            counts.slot,
            c.intermediate if "silu" in counts.slot or "swi" in counts.slot else c.hidden,
        )
        assert counts.a == counts.b == tokens * width, f"layer {layer} {counts.slot}: {counts}"
        for side in (apr, gguf):
            assert side.last_token is not None
            assert side.last_token.slot(counts.slot).count == width
        checked += 1
    assert checked == 10
    compared(checked, what="slot counts")


def same_path_is_identical(
    gguf_path: Path, apr_path: Path, load_cached: Load, layer: int, compared: Compared
) -> None:
    """On one numeric path the format makes no difference, not in one bit."""
    for numerics in NUMERICS:
        apr = traced(load_cached(apr_path, numerics))
        gguf = traced(load_cached(gguf_path, numerics))
        compared(check_identical(apr, gguf, layer), what=f"elements, {numerics}", ran=gguf.path)


def check_identical(apr: Trace, gguf: Trace, layer: int) -> int:
    """Assert that every slot of a layer has the same bits; return how many elements that was."""
    elements = 0
    for slot, stage in SLOTS.items():
        a, g = apr.values[stage, layer], gguf.values[stage, layer]
        differing = np.flatnonzero(a.view(np.uint32) != g.view(np.uint32))
        assert differing.size == 0, f"layer {layer} {slot}: {differing.size} of {a.size} differ"
        elements += a.size
    return elements


def paths_within_noise(
    gguf_path: Path, apr_path: Path, load_cached: Load, layer: int, compared: Compared
) -> None:
    """Across numeric paths no slot differs by more than rounding activations to int8 explains."""
    for label, apr, gguf in path_pairs(gguf_path, apr_path, load_cached):
        elements = check_noise(apr, gguf, layer, label)
        compared(elements, what=f"elements, {label}", ran=f"{apr.path} / {gguf.path}")


def logits_are_equal(
    gguf_path: Path, apr_path: Path, load_cached: Load, compared: Compared
) -> None:
    """The logits of both formats have the same bits, on either numeric path."""
    for numerics in NUMERICS:
        apr = traced(load_cached(apr_path, numerics))
        gguf = traced(load_cached(gguf_path, numerics))
        assert np.array_equal(apr.logits.view(np.uint32), gguf.logits.view(np.uint32))
        compared(apr.logits.size, what=f"logits, {numerics}", ran=gguf.path)


def all_layers_agree(
    gguf_path: Path, apr_path: Path, load_cached: Load, compared: Compared
) -> None:
    """Ratio, identity and noise claims hold for every layer at once; none is exempt."""
    for label, apr, gguf in path_pairs(gguf_path, apr_path, load_cached):
        assert len(apr.forward.layer_activations) == len(gguf.forward.layer_activations) > 0
        for layer in range(len(gguf.forward.layer_activations)):
            check_ratio(apr, gguf, layer, "ffn_swiglu_inner", RATIO_BAND, label)
            compared(check_noise(apr, gguf, layer, label), what="elements")


def nothing_masks_the_product(gguf_path: Path, compared: Compared) -> None:
    """ffn_swigl is silu(gate) · up, no more and no less, also where the values are huge."""
    for numerics in NUMERICS:
        compared(check_product(gguf_path, numerics), what=f"products, {numerics}")


def check_product(gguf_path: Path, numerics: Any) -> int:
    """Check the gated product of two layers, one of them loud; return how many products."""
    file = open_model(gguf_path)
    norm = f"blk.{REFERENCE_LAYER}.ffn_norm.weight"
    loud = Overlay(file, {norm: tensor_values(file, norm) * np.float32(1000)})
    stages = (Stage.FFN_GATE, Stage.FFN_UP, Stage.FFN_SWIGL)
    with Model(loud, numerics=numerics, f32_cache_bytes=0) as model:
        ids = model.tokenizer.encode(PROMPT)
        layers = range(REFERENCE_LAYER - 1, REFERENCE_LAYER + 1)
        values = model.trace(ids, TracePlan(stages, layers)).values
    products = 0
    for layer in layers:
        gate, up, product = (values[stage, layer].astype(np.float64) for stage in stages)
        expected = gate / (1 + np.exp(-np.clip(gate, -700, None))) * up
        tolerance = 8 * np.finfo(np.float32).eps * np.abs(expected) + np.finfo(np.float32).tiny
        worst = int(np.argmax(np.abs(product - expected) - tolerance))
        assert np.all(np.abs(product - expected) <= tolerance), (
            f"{numerics}, layer {layer}: product {product.flat[worst]:.6g}, "
            f"silu(gate)·up {expected.flat[worst]:.6g}"
        )
        products += product.size
    assert np.abs(product).max() > 1e4, "the loud layer is not loud"
    return products


def drift_is_detected(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """The drift tests fail on a planted drift and pass without it."""
    healthy = traced(load_cached(gguf_path, "fused"))
    with Model(scaled(gguf_path, f"blk.{REFERENCE_LAYER}.ffn_gate.weight", 1.5)) as model:
        drifted = traced(model)
    with pytest.raises(AssertionError, match="ffn_gate"):
        check_ratio(drifted, healthy, REFERENCE_LAYER, "ffn_gate", GATE_BAND)
    with pytest.raises(AssertionError, match="ffn_gate"):
        check_noise(drifted, healthy, REFERENCE_LAYER)
    with pytest.raises(AssertionError, match="ffn_gate"):
        check_identical(drifted, healthy, REFERENCE_LAYER)
    check_noise(drifted, healthy, REFERENCE_LAYER - 1)  # what comes before the drift is untouched
    check_ratio(healthy, healthy, REFERENCE_LAYER, "ffn_gate", GATE_BAND)
    compared(3, what="claims that saw the drift")


def scaled(path: Path, tensor: str, factor: float) -> Overlay:
    """Open a model with one tensor multiplied by ``factor``."""
    file = open_model(path)
    return Overlay(file, {tensor: tensor_values(file, tensor) * np.float32(factor)})


def reporters_sample_alike(
    gguf_path: Path, apr_path: Path, load_cached: Load, compared: Compared
) -> None:
    """No slot of any layer is summarised over different counts, whatever the numeric path."""
    for label, apr, gguf in path_pairs(gguf_path, apr_path, load_cached):
        mismatches = count_mismatches(apr.forward, gguf.forward)
        assert not mismatches, f"{label}: {mismatches}"
        compared(len(SLOTS) * len(apr.forward.layer_activations), what="slot counts")


def ratio_needs_equal_counts(a: int, b: int, compared: Compared) -> None:
    """A ratio of statistics exists exactly when both sides counted the same elements."""
    left = ActivationStats(std_dev=1.0, count=a)
    right = ActivationStats(std_dev=2.0, count=b)
    if a == b:
        assert std_ratio(left, right) == 0.5
    else:
        with pytest.raises(InputError, match="cannot be compared"):
            std_ratio(left, right)
    compared(1, what="pairs of counts")


def ratio_within_q4k_tolerance_bounds(k: Draws) -> None:
    """A layer is in the band exactly when neither spread is more than twice the other."""
    odd = k.int("layer", 0, k.bound - 1)
    apr, gguf = k.int("apr_std", 1, 6), k.int("gguf_std", 1, 6)
    k.cover("in the band", apr == gguf)
    k.cover("out of the band", apr > 2 * gguf)
    ratios = layer_ratios(spreads(k.bound, odd, apr), spreads(k.bound, odd, gguf), "ffn_gate")
    outside = [layer for layer, ratio in enumerate(ratios) if not within_band(ratio, *RATIO_BAND)]
    assert outside == ([] if apr <= 2 * gguf and gguf <= 2 * apr else [odd])


def spreads(layers: int, odd: int, std: int) -> ForwardTrace:
    """A trace whose layers all have the same spread, but one."""
    none = ActivationStats()
    stats = [ActivationStats(std_dev=float(std if i == odd else 3), count=7) for i in range(layers)]
    activations = tuple(LayerActivation(i, ffn_gate_stats=s) for i, s in enumerate(stats))
    return ForwardTrace((), none, activations, none, none, np.zeros(0, np.float32))


def gate_matmul_is_causal_origin(k: Draws) -> None:
    """Of gate, up, silu and product, the first that disagrees is named, and no later one."""
    agrees = [k.bool(f"stage_{i}_agrees") for i in range(k.bound)]
    k.cover("the gate is wrong", not agrees[0])
    k.cover("only the product is wrong", agrees[:-1] == [True] * (k.bound - 1) and not agrees[-1])
    origin = first_divergence([1.0 if agree else 0.5 for agree in agrees], 0.999)
    if origin is None:
        assert all(agrees)
    else:
        assert not agrees[origin]
        assert all(agrees[:origin])
    assert (origin == 0) == (not agrees[0])


def count_equal_per_layer_per_slot(k: Draws) -> None:
    """One differing count among all layers and slots is found, and it alone."""
    bad = k.int("where", 0, k.bound)
    layers = k.bound // len(SLOTS)
    k.cover("no difference", bad == k.bound)
    slot_names = list(SLOTS)
    found = []
    for layer in range(layers):
        wrong = {slot_names[bad % 10]: 1} if bad // 10 == layer else {}
        found += [
            counts
            for counts in slot_counts(counted(layer, {}), counted(layer, wrong))
            if counts.a != counts.b
        ]
    expected = [] if bad == k.bound else [(bad // 10, slot_names[bad % 10])]
    assert [(counts.layer, counts.slot) for counts in found] == expected


def counted(layer: int, off: dict[str, int]) -> LayerActivation:
    """A layer whose slots count 7 elements, some of them off by a given number."""
    stats: dict[str, Any] = {
        f"{slot}_stats": ActivationStats(count=7 + off.get(slot, 0)) for slot in SLOTS
    }
    return LayerActivation(layer, **stats)
