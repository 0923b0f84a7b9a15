"""The public face: loading, both numeric paths, closing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import inference
from inference import Model
from inference.compare.files import ModelDiff, compare_models
from inference.data import TINY_MODEL
from inference.errors import (
    DeviceUnavailableError,
    EngineError,
    InputError,
    ModelFileError,
    UnsupportedTypeError,
)
from inference.formats import open_model
from inference.formats.overlay import Overlay, tensor_values
from inference.model.stages import Stage
from inference.trace.diff import cosine
from inference.trace.plan import TracePlan

IDS = [335, 309, 220, 17, 10, 17, 30]


def test_both_paths_agree() -> None:
    logits = []
    for numerics in ("f32", "fused"):
        with inference.load(TINY_MODEL, numerics=numerics) as model:
            logits.append(model.forward(IDS))
    assert logits[0].shape == (len(IDS), 512)
    for a, b in zip(*logits, strict=True):
        assert cosine(a, b) > 0.999
    assert not np.array_equal(*logits)


def test_both_paths_agree_for_every_architecture(of_architecture: Model) -> None:
    with inference.load(of_architecture.file.path, numerics="fused") as fused:
        assert cosine(fused.forward(IDS), of_architecture.forward(IDS)) > 0.9999


def test_a_byte_budget_changes_nothing_but_memory() -> None:
    results = []
    for budget in (0, 600_000, 1 << 30):
        with Model(open_model(TINY_MODEL), numerics="f32", f32_cache_bytes=budget) as model:
            results.append(model.forward(IDS))
            model.release_f32()
            np.testing.assert_array_equal(model.forward(IDS), results[-1])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=1e-5)


def test_cuda_is_refused_with_what_to_do() -> None:
    with pytest.raises(DeviceUnavailableError, match="backend='cpu'"):
        inference.load(TINY_MODEL, backend="cuda")
    with inference.load(TINY_MODEL, backend="cpu") as model:
        assert model.backend == "cpu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tpu"}, "choose auto, cpu or cuda"),
        ({"numerics": "f16"}, "choose f32 or fused"),
    ],
)
def test_unknown_options_name_the_known(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        inference.load(TINY_MODEL, **options)  # type: ignore[arg-type]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        inference.load(tmp_path / "nowhere.gguf")


def test_a_type_without_kernel_names_the_path_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from inference.backends.cpu import linear
    from inference.quant.types import GGMLType

    fused = {k: v for k, v in linear.PRODUCTS["fused"].items() if k is not GGMLType.Q4_K}
    table = {**linear.PRODUCTS, "fused": fused}
    monkeypatch.setattr(linear, "PRODUCTS", table)
    with pytest.raises(UnsupportedTypeError, match=r"Q4_K, for which the fused.*numerics='f32'"):
        inference.load(TINY_MODEL)


def test_closed_models_say_so() -> None:
    model = inference.load(TINY_MODEL)
    model.close()
    with pytest.raises(EngineError, match="closed"):
        model.forward(IDS)


def test_lazy_names() -> None:
    assert inference.Model is Model
    with pytest.raises(AttributeError, match="no attribute 'Modle'"):
        inference.Modle  # noqa: B018


def test_trace_refuses_layers_that_are_not_there() -> None:
    plan = TracePlan((Stage.FFN_GATE,), range(2, 5))
    with inference.load(TINY_MODEL) as model, pytest.raises(InputError, match="past the last"):
        model.trace(IDS, plan)


def test_overlay_replaces_and_refuses() -> None:
    file = open_model(TINY_MODEL)
    name = "blk.1.ffn_norm.weight"
    ours = np.full(256, 2.0, np.float32)
    over = Overlay(file, {name: ours})
    assert np.array_equal(tensor_values(over, name), ours)
    assert np.array_equal(over.raw("output_norm.weight"), file.raw("output_norm.weight"))
    for wrong in ({"blk.9.x": ours}, {name: ours[:8]}):
        with pytest.raises(InputError, match="no tensor"):
            Overlay(file, wrong)
    over.close()


def test_dispatch_log_counts_what_ran() -> None:
    with inference.load(TINY_MODEL) as model:
        assert {d.calls for d in model.dispatch} == {0}
        model.generate(IDS, max_tokens=3, ignore_eos=True)
        ran = {d.tensor: d.calls for d in model.dispatch}
        assert ran["blk.0.attn_q.weight"] == 3
        assert ran["output.weight" if "output.weight" in ran else "token_embd.weight"] == 3
        assert {d.product for d in model.dispatch} == {"int8-dot"}


def test_the_same_values_in_another_type_are_no_difference() -> None:
    file = open_model(TINY_MODEL)
    name = "blk.0.attn_v.weight"
    same = Overlay(open_model(TINY_MODEL), {name: tensor_values(file, name)})
    assert compare_models(file, same, values=True).equal
    by_bytes = compare_models(file, same)
    assert [tensor.name for tensor in by_bytes.different] == [name]
    assert by_bytes.different[0].max_abs_diff is None
    nothing = ModelDiff()
    assert not nothing.equal  # no tensor in common is no agreement
