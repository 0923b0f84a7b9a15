from __future__ import annotations

import math

import numpy as np
import pytest

from inference.kernels.rope import cpu, reference


def oracle(x, positions, theta, neox):
    """Each pair is a complex number; turning it is a multiplication by exp(i·m·θ)."""
    x = np.asarray(x, np.float64)
    half = x.shape[-1] // 2
    pairs = x[..., :half] + 1j * x[..., half:] if neox else x[..., 0::2] + 1j * x[..., 1::2]
    angles = np.outer(positions, np.power(theta, -np.arange(half) / half))
    turned = pairs * np.exp(1j * angles)[:, np.newaxis, :]
    out = np.empty_like(x)
    if neox:
        out[..., :half], out[..., half:] = turned.real, turned.imag
    else:
        out[..., 0::2], out[..., 1::2] = turned.real, turned.imag
    return out


@pytest.mark.parametrize("neox", [True, False])
@pytest.mark.parametrize("head_dim", [2, 4, 64, 128])
def test_matches_complex_multiplication(neox, head_dim):
    rng = np.random.default_rng(head_dim)
    x = rng.normal(size=(5, 3, head_dim)).astype(np.float32)
    positions = np.array([0, 1, 17, 4095, 32767])
    expected = oracle(x, positions, 1e6, neox)
    np.testing.assert_allclose(cpu.rope(x, positions, 1e6, neox), expected, atol=1e-6)
    np.testing.assert_allclose(reference.rope(x, positions, 1e6, neox), expected, atol=1e-9)


def test_hand_worked_quarter_turn():
    # theta = 4/π² makes the second pair of a head of 4 turn by exactly π/2 per position.
    theta = (2 / math.pi) ** 2
    x = np.array([[[1.0, 2.0, 3.0, 4.0]]], np.float32)
    first = [math.cos(1), math.sin(1)]
    neox = [first[0] - 3 * first[1], -4.0, first[1] + 3 * first[0], 2.0]
    adjacent = [first[0] - 2 * first[1], first[1] + 2 * first[0], -4.0, 3.0]
    np.testing.assert_allclose(cpu.rope(x, [1], theta)[0, 0], neox, atol=1e-6)
    np.testing.assert_allclose(cpu.rope(x, [1], theta, neox=False)[0, 0], adjacent, atol=1e-6)


def test_layouts_differ_from_the_first_position_on():
    x = np.random.default_rng(0).normal(size=(2, 1, 8)).astype(np.float32)
    adjacent, neox = cpu.rope(x, [0, 1], 1e4, False), cpu.rope(x, [0, 1], 1e4, True)
    np.testing.assert_array_equal(adjacent[0], neox[0])
    assert np.abs(adjacent[1] - neox[1]).max() > 0.1


def test_one_table_serves_many_tensors():
    rng = np.random.default_rng(0)
    q, k = (rng.normal(size=(3, heads, 16)).astype(np.float32) for heads in (4, 2))
    cos, sin = cpu.rope_table([5, 6, 7], cpu.rope_frequencies(16, 1e4))
    for x in (q, k):
        np.testing.assert_array_equal(cpu.rope_rotate(x, cos, sin), cpu.rope(x, [5, 6, 7], 1e4))


def test_strided_and_read_only_input():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype(np.float32)
    x.flags.writeable = False
    np.testing.assert_array_equal(
        cpu.rope(x[1].swapaxes(0, 1), range(4), 1e4),
        cpu.rope(x[1].swapaxes(0, 1).copy(), range(4), 1e4),
    )


@pytest.mark.parametrize(
    ("shape", "positions", "theta", "message"),
    [
        ((2, 1, 7), [0, 1], 1e4, "head_dim is 7, but must be even"),
        ((2, 1, 0), [0, 1], 1e4, "head_dim is 0, but must be even"),
        ((2, 1, 8), [0, 1, 2], 1e4, r"number of positions is 3, but x.shape\[0\] is 2"),
        ((2, 1, 8), 3, 1e4, r"positions have shape \(\)"),
        ((2, 8), [0, 1], 1e4, r"x has shape \(2, 8\), but 3 axes"),
        ((2, 1, 8), [0, 1], 0.0, "theta is 0.0"),
    ],
)
def test_bad_arguments_are_named(shape, positions, theta, message):
    with pytest.raises(ValueError, match=f"^rope: .*{message}"):
        cpu.rope(np.zeros(shape, np.float32), positions, theta)


def test_a_table_of_another_size_is_refused():
    cos, sin = cpu.rope_table([0], cpu.rope_frequencies(16, 1e4))
    with pytest.raises(ValueError, match=r"the table's angles is 16, but x.shape\[-1\] is 8"):
        cpu.rope_rotate(np.zeros((1, 1, 8), np.float32), cos, sin)
