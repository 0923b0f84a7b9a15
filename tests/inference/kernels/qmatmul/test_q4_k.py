from __future__ import annotations

import numpy as np
import pytest
from gguf import quants
from gguf.constants import GGMLQuantizationType

from inference.kernels import qmatmul as room
from inference.kernels.qmatmul import reference
from inference.quant import GGMLType, quantize


def product(raw, rows, cols, x):
    return room.qmatmul(raw, GGMLType.Q4_K, rows, cols, x)


def scalar_product(raw, rows, cols, x):
    return reference.qmatmul(raw.reshape(-1).tolist(), GGMLType.Q4_K, rows, cols, x.tolist())


def packed(rows, cols, seed=0):
    weight = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    return quantize(weight, GGMLType.Q4_K)


def random_blocks(rows, cols, seed=0):
    """Blocks of arbitrary bytes: all scales, mins and levels, not only those a quantizer makes."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (rows, cols // 256, 144)).astype(np.uint8)
    scales = rng.uniform(0.001, 0.1, (rows, cols // 256, 2)).astype(np.float16)
    blocks[..., :4] = scales.view(np.uint8)
    return blocks.reshape(rows, -1)


@pytest.mark.parametrize(("rows", "cols", "batch"), [(1, 256, 1), (5, 512, 3), (33, 768, 2)])
def test_against_the_weights_of_the_gguf_package(rows, cols, batch):
    raw = random_blocks(rows, cols)
    weights = quants.dequantize(raw, GGMLQuantizationType.Q4_K).astype(np.float64)
    # Activations that int8 holds exactly: multiples of a power of two, the largest 127.
    x = np.random.default_rng(1).integers(-127, 128, (batch, cols)).astype(np.float32) / 64
    x[:, ::32] = 127 / 64
    exact = x @ weights.T
    size = np.abs(x) @ np.abs(weights).T
    for implementation in (product, scalar_product):
        actual = np.asarray(implementation(raw, rows, cols, x))
        assert actual.shape == (batch, rows)
        assert np.max(np.abs(actual - exact) / size) < 1e-6


def test_hand_worked_subblock():
    block = bytearray(144)
    block[0:2] = np.float16(0.5).tobytes()
    block[2:4] = np.float16(0.25).tobytes()
    block[4 + 0], block[4 + 4] = 3, 2  # scale and min of sub-block 0
    block[16] = 0x0F  # weight 0 is 15, weight 32 is 0
    levels, scales = [2] + [0] * 255, [1.0] + [0.0] * 7
    # 0.5 · 3 · (15 · 2) − 0.25 · 2 · 2
    assert reference.dot_row(bytes(block), GGMLType.Q4_K, levels, scales) == 44.0


def test_activations_round_half_away_from_zero():
    levels, scales = reference.quantize_activations([127.0, 0.5, -0.5, 1.4] + [0.0] * 28)
    assert (levels[:4], scales) == ([127, 1, -1, 1], [1.0])


def test_zero_activations_give_zero():
    levels, scales = reference.quantize_activations([0.0] * 64)
    assert (set(levels), scales) == ({0}, [0.0, 0.0])
    x = np.zeros((1, 256), np.float32)
    assert scalar_product(packed(2, 256), 2, 256, x) == [[0.0, 0.0]]
    np.testing.assert_array_equal(product(packed(2, 256), 2, 256, x), np.zeros((1, 2)))


def test_cpu_agrees_with_the_reference_on_any_activations():
    raw = packed(7, 512)
    x = np.random.default_rng(2).normal(size=(4, 512)).astype(np.float32)
    expected = np.asarray(scalar_product(raw, 7, 512, x))
    actual = product(raw, 7, 512, x)
    assert np.max(np.abs(expected)) > 1
    # Both round activations alike, ties too: what is left is the order of float32 sums.
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="takes 288 bytes"):
        product(np.zeros(144, np.uint8), 2, 256, np.zeros((1, 256), np.float32))
