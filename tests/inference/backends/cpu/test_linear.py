from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model
from inference.backends.cpu import linear as products
from inference.backends.cpu.linear import FLOAT, INT8, PRODUCTS, LinearLayers
from inference.backends.cpu.lowered.table import OP, QUANTIZE
from inference.backends.weights import F32Budget, Weight
from inference.data import TINY_MODEL
from inference.formats.base import TensorInfo
from inference.kernels.qmatmul import FUSED_KERNELS, LAUNCHES
from inference.quant import DECODERS, dequantize, quantize
from inference.quant.types import AprType, GGMLType, block_size

RNG = np.random.default_rng(0)


def weight_of(dtype: GGMLType, rows: int, columns: int, budget: int = 1 << 30) -> Weight:
    packed = quantize(RNG.normal(size=(rows, columns)).astype(np.float32), dtype)
    info = TensorInfo(f"w.{dtype.name}", "w", (rows, columns), dtype, 0, packed.size)
    return Weight(info, packed.reshape(-1), F32Budget(budget))


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with inference.load(TINY_MODEL) as model:
        yield model


def test_the_table_has_no_gaps_and_no_default() -> None:
    assert set(PRODUCTS["f32"]) == set(DECODERS)
    for dtype, product in PRODUCTS["fused"].items():
        assert product == (INT8 if block_size(dtype) > 1 else FLOAT)
    assert set(FUSED_KERNELS) <= set(PRODUCTS["fused"])
    assert GGMLType.Q2_K not in PRODUCTS["fused"]


@pytest.mark.parametrize("dtype", [GGMLType.Q8_0, GGMLType.Q5_0, GGMLType.Q4_K, GGMLType.Q6_K])
def test_integer_product_is_near_the_float_one(dtype: GGMLType) -> None:
    weight = weight_of(dtype, 48, 512)
    x = RNG.normal(size=(5, 512)).astype(np.float32)
    exact = x.astype(np.float64) @ weight.take(slice(None)).astype(np.float64).T
    before = LAUNCHES.total()
    results: dict[str, NDArray[np.float32]] = {}
    for numerics in ("f32", "fused"):
        linear = LinearLayers({weight.name: weight}, numerics)
        results[numerics] = linear(x, weight.name)
        assert linear.log[weight.name].calls == 1
    assert LAUNCHES.total() == before + 1
    scale = np.abs(exact).max()
    assert np.abs(results["f32"] - exact).max() < 1e-5 * scale
    assert 1e-5 * scale < np.abs(results["fused"] - exact).max() < 0.02 * scale


def test_expected_matrices_are_packed_in_the_memory_made_ready_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = [weight_of(dtype, 33, 512) for dtype in (GGMLType.Q8_0, GGMLType.Q4_K, GGMLType.Q6_K)]
    matrices = {weight.name: weight for weight in weights}
    first, second, third = matrices
    alone = {name: LinearLayers(matrices, "fused").pack(name).data for name in matrices}
    monkeypatch.setattr(products, "SMALLEST", 1)
    monkeypatch.setattr(products.pool, "available", lambda: 2)
    linear = LinearLayers(matrices, "fused")
    linear.expect([third, first])
    packed = {name: linear.pack(name).data for name in matrices}
    for name in matrices:
        np.testing.assert_array_equal(packed[name], alone[name])
    apart = packed[third].ctypes.data - packed[first].ctypes.data
    assert 0 < apart < packed[first].size + 64
    assert not 0 < packed[second].ctypes.data - packed[first].ctypes.data < 1 << 20


def test_strips_give_the_whole_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.backends.weights._STRIP_VALUES", 1000)
    kept, strips = weight_of(GGMLType.F16, 37, 96), None
    strips = Weight(
        TensorInfo(kept.name, "w", kept.shape, kept.dtype, 0, kept.packed.size),
        kept.packed.reshape(-1),
        F32Budget(0),
    )
    assert len(list(strips.strips())) == 4
    assert len(list(kept.strips())) == 1
    x = RNG.normal(size=(3, 96)).astype(np.float32)
    a, b = (LinearLayers({"w": w}, "f32")(x, "w") for w in (kept, strips))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_the_product_of_one_text_with_a_kept_matrix_is_not_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[NDArray[np.float32]] = []

    def matmul(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        made.append(np.matmul(a, b))
        return made[-1]

    monkeypatch.setattr(products, "matmul", matmul)
    weight = weight_of(GGMLType.Q8_0, 48, 64)
    x = RNG.normal(size=(5, 64)).astype(np.float32)
    for groups in (products.WHOLE, (slice(0, 5),)):
        assert products.float_product(x, weight, groups) is made[-1]
    parts = products.float_product(x, weight, (slice(0, 2), slice(2, 5)))
    np.testing.assert_array_equal(parts, np.concatenate(made[-2:]))


def test_rows_of_a_tensor_with_one_scale() -> None:
    x = RNG.normal(size=(6, 32)).astype(np.float32)
    raw = quantize(x, AprType.APR_Q8)
    info = TensorInfo("w", "w", x.shape, AprType.APR_Q8, 0, raw.size)
    weight = Weight(info, raw, F32Budget(0))
    some = weight.take(np.array([4, 0]))
    np.testing.assert_array_equal(some, dequantize(raw, AprType.APR_Q8, x.shape)[[4, 0]])
    assert np.abs(some - x[[4, 0]]).max() < 0.02


def test_the_budget_is_respected_and_given_back() -> None:
    budget = F32Budget(4 * 32 * 10)
    info = TensorInfo("w", "w", (10, 32), GGMLType.F16, 0, 640)
    raw = quantize(np.ones((10, 32), np.float32), GGMLType.F16).reshape(-1)
    first, second = Weight(info, raw, budget), Weight(info, raw, budget)
    next(first.strips())
    next(second.strips())
    assert budget.used == budget.limit
    second.release()
    assert budget.used == budget.limit
    first.release()
    assert budget.used == 0


def test_activations_are_rounded_once_for_matrices_that_share_them(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    from inference.backends.cpu import linear as products

    rounded = []
    original = products.quantize_activations
    monkeypatch.setattr(
        products, "quantize_activations", lambda x: rounded.append(1) or original(x)
    )
    one_by_one = Model(model.file, lowered=False)
    one_by_one.session().advance([1])
    # q, k and v share one input, gate and up another: 4 per layer, and the output matrix.
    assert len(rounded) == 4 * model.config.layers + 1
    (plan,) = _planned(model)
    for table in plan.compiled.tables:
        assert np.count_nonzero(table.rows[:, OP] == QUANTIZE) == len(rounded)


def _planned(model: Model) -> list[Any]:
    assert model.capabilities.path == "lowered"
    return list(model._backend._plans.values())  # type: ignore[attr-defined]


def test_other_rows_are_rounded_anew() -> None:
    weight = weight_of(GGMLType.Q8_0, 8, 64)
    linear = LinearLayers({"w": weight}, "fused")
    x = RNG.normal(size=(2, 64)).astype(np.float32)
    first = linear(x, "w")
    assert not np.array_equal(linear(x + 1, "w"), first)
    assert np.array_equal(linear(x, "w"), first)
