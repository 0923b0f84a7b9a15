"""Every parity claim passes on the engine and falls on the incident that it is there for."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import inference
from inference import Model
from inference.cli import main
from inference.data import TINY_MODEL

LAYERS = range(4)
Plant = Callable[[Any, str], Model]


class Counter:
    """Stands in for the plugin's counter: how much a procedure compared."""

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, n_elements: int, what: str = "", *, ran: str | None = None) -> None:
        self.total += n_elements


@pytest.fixture(scope="module")
def claims(procedures: Callable[[str], ModuleType]) -> ModuleType:
    return procedures("model/apr_vs_gguf_forward_parity_v1")


@pytest.fixture(scope="module")
def healthy() -> Iterator[Callable[[Path, Any], Model]]:
    models: dict[tuple[Path, Any], Model] = {}

    def load(path: Path, numerics: Any) -> Model:
        if (path, numerics) not in models:
            models[path, numerics] = inference.load(path, numerics=numerics)
        return models[path, numerics]

    yield load
    for model in models.values():
        model.close()


def printed_trace(path: Path) -> str:
    """Return what `apr trace --payload` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["trace", str(path), "--payload"]) == 0
    return said.getvalue()


def run(claims: ModuleType, name: str, apr: Path, load: Any, **extra: Any) -> int:
    """Run a procedure with what it asks for; return how much it compared."""
    compared = Counter()
    function = getattr(claims, name)
    given = {
        "gguf_path": TINY_MODEL, "apr_path": apr, "load_cached": load, "compared": compared,
        "printed_trace": printed_trace,
    }  # fmt: skip
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    function(**{key: value for key, value in (given | extra).items() if key in wanted})
    return compared.total


def planted(apr: Path, load: Any, plant: Callable[[str], Model]) -> Any:
    """Return a loader that gives a defective model for the APR file."""
    made: dict[str, Model] = {}

    def loader(path: Path, numerics: str) -> Model:
        if path != apr:
            model: Model = load(path, numerics)
            return model
        if numerics not in made:
            made[numerics] = plant(numerics)
        return made[numerics]

    return loader


PER_LAYER = ["per_layer_ratio", "counts_agree", "same_path_is_identical", "paths_within_noise"]
WHOLE = [
    "reference_layer_ratio", "gate_ratio", "kernels_follow_types", "trace_prints_every_layer",
    "logits_are_equal", "all_layers_agree", "nothing_masks_the_product", "drift_is_detected",
    "reporters_sample_alike",
]  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_whole_model_claims_hold(
    claims: ModuleType, tiny_apr: Path, healthy: Any, name: str
) -> None:
    assert run(claims, name, tiny_apr, healthy) > 0


@pytest.mark.parametrize("name", PER_LAYER)
def test_layer_claims_hold(claims: ModuleType, tiny_apr: Path, healthy: Any, name: str) -> None:
    compared = [run(claims, name, tiny_apr, healthy, layer=layer) for layer in LAYERS]
    assert all(compared)
    if name == "counts_agree":
        assert sum(compared) == 10 * len(LAYERS)


def failing(claims: ModuleType, apr: Path, load: Any) -> set[str]:
    """Return the claims that do not hold."""
    failed = set()
    for name in (*WHOLE, *PER_LAYER):
        if name in ("kernels_follow_types", "nothing_masks_the_product", "drift_is_detected"):
            continue  # they look at the GGUF side alone
        for extra in [{"layer": layer} for layer in LAYERS] if name in PER_LAYER else [{}]:
            try:
                run(claims, name, apr, load, **extra)
            except (AssertionError, inference.errors.InputError):
                failed.add(name)
    return failed


def test_inc_06_other_tokens(
    claims: ModuleType, tiny_apr: Path, healthy: Any, defects: Any
) -> None:
    load = planted(tiny_apr, healthy, defects.last_token_reporter)
    failed = failing(claims, tiny_apr, load)
    assert {"counts_agree", "reporters_sample_alike"} <= failed
    assert "same_path_is_identical" not in failed  # the values are the same, the reports are not


def test_inc_07_clamped_product(
    claims: ModuleType, tiny_apr: Path, healthy: Any, defects: Any
) -> None:
    """The clamp satisfies the claims about the symptom; those about the cause see it."""
    load = planted(
        tiny_apr, healthy, lambda numerics: defects.gate_scaled_and_clamped(1.5, 1.5, numerics)
    )
    failed = failing(claims, tiny_apr, load)
    assert "per_layer_ratio" not in failed
    assert "reference_layer_ratio" not in failed
    assert {"gate_ratio", "paths_within_noise", "same_path_is_identical"} <= failed


def test_inc_07_inside_the_band(
    claims: ModuleType, tiny_apr: Path, healthy: Any, defects: Any
) -> None:
    """The ratio recorded in the field passes the stated bands, and falls to the measured noise."""
    load = planted(tiny_apr, healthy, lambda numerics: defects.gate_scaled(1.36, numerics))
    failed = failing(claims, tiny_apr, load)
    assert failed.isdisjoint({"per_layer_ratio", "reference_layer_ratio", "gate_ratio"})
    assert {"paths_within_noise", "same_path_is_identical", "all_layers_agree"} <= failed


def test_the_noise_band_is_tight(
    claims: ModuleType, tiny_apr: Path, healthy: Any, defects: Any
) -> None:
    load = planted(tiny_apr, healthy, lambda numerics: defects.gate_scaled(1.1, numerics))
    with pytest.raises(AssertionError, match="ffn_gate"):
        run(claims, "paths_within_noise", tiny_apr, load, layer=3)
    run(claims, "paths_within_noise", tiny_apr, load, layer=2)


@pytest.mark.parametrize("incident", ["without_bias", "adjacent_rope"])
def test_inc_09(
    claims: ModuleType, tiny_apr: Path, healthy: Any, defects: Any, incident: str
) -> None:
    failed = failing(claims, tiny_apr, planted(tiny_apr, healthy, getattr(defects, incident)))
    assert {
        "paths_within_noise", "same_path_is_identical", "logits_are_equal", "all_layers_agree",
    } <= failed  # fmt: skip
    first = {"without_bias": "qkv", "adjacent_rope": "attn_out"}[incident]
    load = planted(tiny_apr, healthy, getattr(defects, incident))
    with pytest.raises(AssertionError, match=f"layer 0 {first}"):
        run(claims, "paths_within_noise", tiny_apr, load, layer=0)


def test_inc_08_silent_fallback(
    claims: ModuleType, tiny_apr: Path, healthy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference.backends.cpu import linear

    def in_float(packed: Any, q: Any, scales: Any) -> Any:
        return np.zeros((len(q), packed.rows), np.float32)  # what it computes plays no part

    monkeypatch.setattr(linear, "multiply", in_float)
    with pytest.raises(AssertionError, match="0 integer products ran, the log says"):
        run(claims, "kernels_follow_types", tiny_apr, healthy)


def test_a_clamp_in_the_backend_is_seen(
    claims: ModuleType, tiny_apr: Path, healthy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference.backends.cpu import operations

    original = operations.swiglu
    monkeypatch.setattr(operations, "swiglu", lambda gate, up: original(gate, up).clip(-30, 30))
    with pytest.raises(AssertionError, match=r"product -?30,"):
        run(claims, "nothing_masks_the_product", tiny_apr, healthy)
