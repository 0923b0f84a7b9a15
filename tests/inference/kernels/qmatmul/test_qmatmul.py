from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.errors import UnsupportedTypeError
from inference.kernels import qmatmul as room
from inference.kernels.cpu.sources import closure
from inference.kernels.qmatmul import (
    FUSED_KERNELS,
    LAUNCHES,
    activation_sums,
    cpu,
    multiply,
    pack,
    packing,
    qmatmul,
    quantize_activations,
    reference,
)
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.layouts import Move
from inference.quant import GGMLType, dequantize
from inference.quant.types import block_size, type_size

TYPES = [pytest.param(dtype, id=dtype.name) for dtype in FUSED_KERNELS]
ROWS, COLS = 5, 512


def half_fields(dtype: GGMLType) -> list[int]:
    """Where a block has float16 numbers."""
    return [at for kind, at, _, _ in FUSED[dtype].layout.moves.tolist() if kind == Move.HALF]


def weights(
    dtype: GGMLType, rows: int = ROWS, cols: int = COLS, seed: int = 0
) -> NDArray[np.uint8]:
    """Random levels under scales of ordinary size and both signs."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (rows, cols // block_size(dtype), type_size(dtype)), dtype=np.uint8)
    for at in half_fields(dtype):
        scale = (rng.uniform(0.01, 0.1, raw.shape[:2]) * rng.choice([-1, 1], raw.shape[:2])).astype(
            "<f2"
        )
        raw[:, :, at : at + 2] = scale[..., None].view(np.uint8)
    return raw.reshape(rows, -1)


def tokens(n: int = 3, cols: int = COLS, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, cols)).astype(np.float32)


def exact_product(
    raw: NDArray[np.uint8], dtype: GGMLType, x: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The product with rounded activations in float64, and the size of its terms."""
    w = gguf.quants.dequantize(raw, dtype).astype(np.float64)
    q, scales = quantize_activations(x)
    a = q.astype(np.float64) * scales.astype(np.float64).repeat(32, axis=1)
    return a @ w.T, np.abs(a) @ np.abs(w).T


@pytest.mark.parametrize("dtype", TYPES)
def test_equals_the_product_with_the_gguf_packages_weights(dtype: GGMLType) -> None:
    raw, x = weights(dtype), tokens()
    expected, size = exact_product(raw, dtype, x)
    actual = qmatmul(raw, dtype, ROWS, COLS, x)
    assert actual.shape == (3, ROWS)
    # Rounding of 16 block sums; constants such as −dmin·min are larger than the sum itself.
    np.testing.assert_array_less(np.abs(actual - expected), 1e-5 * size)
    assert np.abs(expected).min() > 1e-3


@pytest.mark.parametrize("dtype", TYPES)
def test_scalar_reference_agrees(dtype: GGMLType) -> None:
    raw, x = weights(dtype, seed=2), tokens(seed=3)
    _, size = exact_product(raw, dtype, x)
    expected = reference.qmatmul(raw.reshape(-1).tolist(), dtype, ROWS, COLS, x.tolist())
    actual = qmatmul(raw, dtype, ROWS, COLS, x)
    np.testing.assert_array_less(np.abs(actual - np.array(expected)), 1e-5 * size)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("byte", [0, 255, 127, 128])
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_levels_do_not_overflow(dtype: GGMLType, byte: int, sign: int) -> None:
    raw = weights(dtype)
    keep = {at + i for at in half_fields(dtype) for i in (0, 1)}
    for at in set(range(type_size(dtype))) - keep:
        raw.reshape(-1, type_size(dtype))[:, at] = byte
    x = np.full((1, COLS), sign * 1.5, dtype=np.float32)
    expected, size = exact_product(raw, dtype, x)
    np.testing.assert_array_less(
        np.abs(qmatmul(raw, dtype, ROWS, COLS, x) - expected), 1e-5 * size + 1e-9
    )


@pytest.mark.parametrize("dtype", TYPES)
def test_float16_scales_of_every_kind(dtype: GGMLType) -> None:
    bits = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00]
    raw = weights(dtype, rows=len(bits), cols=256)
    last = half_fields(dtype)[0]
    raw.reshape(len(bits), -1, type_size(dtype))[:, :, last : last + 2] = np.array(
        bits, dtype="<u2"
    )[:, None, None].view(np.uint8)
    x = np.ones((1, 256), dtype=np.float32)
    actual = qmatmul(raw, dtype, len(bits), 256, x)
    expected, size = exact_product(raw[:-1], dtype, x)
    np.testing.assert_array_less(np.abs(actual[:, :-1] - expected), 1e-5 * size + 1e-12)
    assert not np.isfinite(actual[0, -1])


@pytest.mark.parametrize("dtype", TYPES)
def test_rounded_activations_cost_half_a_percent(dtype: GGMLType) -> None:
    raw, x = weights(dtype, rows=64), tokens(n=4)
    expected = x.astype(np.float64) @ dequantize(raw, dtype, (64, COLS)).T.astype(np.float64)
    error = qmatmul(raw, dtype, 64, COLS, x) - expected
    assert 1e-4 < np.linalg.norm(error) / np.linalg.norm(expected) < 1e-2


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_and_callers_do_not_change_a_bit(
    dtype: GGMLType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_chunk", lambda groups, work: 1)
    weight = pack(weights(dtype, rows=90), dtype, 90, COLS)
    q, scales = quantize_activations(tokens())
    alone = multiply(weight, q, scales, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(multiply(weight, q, scales, threads=threads), alone)
    with ThreadPoolExecutor(4) as callers:
        for result in callers.map(lambda _: multiply(weight, q, scales), range(16)):
            np.testing.assert_array_equal(result, alone)


def test_tokens_do_not_influence_each_other() -> None:
    raw, x = weights(GGMLType.Q4_K), tokens(n=4)
    together = qmatmul(raw, GGMLType.Q4_K, ROWS, COLS, x)
    for i in range(4):
        np.testing.assert_array_equal(
            qmatmul(raw, GGMLType.Q4_K, ROWS, COLS, x[i : i + 1])[0], together[i]
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_token_that_is_not_finite_spoils_itself_alone(bad: float) -> None:
    x = tokens()
    x[1, 40] = bad
    y = qmatmul(weights(GGMLType.Q5_0), GGMLType.Q5_0, ROWS, COLS, x)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def test_short_rows_are_padded_with_zeros() -> None:
    raw, x = weights(GGMLType.Q4_K, cols=512), tokens(cols=300)
    wide = np.zeros((3, 512), dtype=np.float32)
    wide[:, :300] = x
    np.testing.assert_array_equal(
        qmatmul(raw, GGMLType.Q4_K, ROWS, 300, x), qmatmul(raw, GGMLType.Q4_K, ROWS, 512, wide)
    )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n", [8, 11, 16])
def test_many_tokens_are_computed_as_one(dtype: GGMLType, n: int) -> None:
    """The tiles of a prompt and the single tokens of decoding agree to the bit."""
    cols = 512 if block_size(dtype) == 256 else 544  # an odd number of blocks
    raw, x = weights(dtype, rows=37, cols=cols), tokens(n=n, cols=cols)
    together = qmatmul(raw, dtype, 37, cols, x)
    expected, size = exact_product(raw, dtype, x)
    np.testing.assert_array_less(np.abs(together - expected), 1e-5 * size)
    alone = [qmatmul(raw, dtype, 37, cols, x[i : i + 1])[0] for i in range(n)]
    np.testing.assert_array_equal(together, np.array(alone))


def test_a_mapped_file_survives_packing(tmp_path: Path) -> None:
    """Pages are dropped after use, and come back from the file."""
    raw = weights(GGMLType.Q6_K, rows=100)
    path = tmp_path / "weights"
    path.write_bytes(b"header" + raw.tobytes() + b"the end")
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped = np.frombuffer(pages, np.uint8, raw.size, 6)
    weight = pack(mapped, GGMLType.Q6_K, 100, COLS)
    np.testing.assert_array_equal(mapped, raw.reshape(-1))
    assert pages[-7:] == b"the end"
    np.testing.assert_array_equal(weight.data, pack(raw, GGMLType.Q6_K, 100, COLS).data)
    assert not weight.data.flags.writeable


@pytest.mark.parametrize("dtype", TYPES)
def test_packed_weights_are_small_and_aligned(dtype: GGMLType) -> None:
    raw = weights(dtype, rows=64)
    data = pack(raw, dtype, 64, COLS).data
    assert data.ctypes.data % 64 == 0
    assert raw.size <= data.size < 1.05 * raw.size


def test_bytes_that_may_be_written_are_read_by_the_same_code() -> None:
    raw = weights(GGMLType.Q8_0)
    packed = pack(raw, GGMLType.Q8_0, ROWS, COLS).data
    raw.flags.writeable = False
    np.testing.assert_array_equal(pack(raw, GGMLType.Q8_0, ROWS, COLS).data, packed)
    assert len(packing._interleave.signatures) == 1


def test_generated_code_counts_with_what_generates_it() -> None:
    """The key of Numba's cache has a digest of these files, and the type in the closure."""
    generators = ("fused", "lanes", "layouts", "product", "rounding", "target", "unpacking")
    built_on = {path.name for path in closure(Path(str(cpu.__file__)))}
    assert {f"{name}.py" for name in generators} <= built_on
    for dtype, kernel in FUSED_KERNELS.items():
        cells = [cell.cell_contents for cell in kernel.py_func.__closure__]  # type: ignore[attr-defined]
        assert cells == [int(dtype)]


def test_no_tokens() -> None:
    y = qmatmul(
        weights(GGMLType.Q8_0), GGMLType.Q8_0, ROWS, COLS, np.empty((0, COLS), dtype=np.float32)
    )
    assert y.shape == (0, ROWS)


@pytest.mark.parametrize("dtype", TYPES)
def test_what_ran_is_recorded(dtype: GGMLType) -> None:
    raw = weights(dtype)
    before = LAUNCHES.copy()
    qmatmul(raw, dtype, ROWS, COLS, tokens())
    ((launch, times),) = (LAUNCHES - before).items()
    assert times == 1
    assert (launch.dtype, launch.rows, launch.cols) == (dtype, ROWS, COLS)
    assert launch.kernel == f"inference.kernels.qmatmul.cpu.{dtype.name.lower()}"


@pytest.mark.parametrize("dtype", [GGMLType.F32, GGMLType.F16, GGMLType.Q3_K, GGMLType.IQ4_XS])
def test_types_without_a_kernel_are_refused(dtype: GGMLType) -> None:
    with pytest.raises(UnsupportedTypeError, match=rf"no fused kernel for .*{dtype.name}"):
        qmatmul(np.zeros(1024, dtype=np.uint8), dtype, 1, 256, tokens(cols=256))
    with pytest.raises(UnsupportedTypeError):
        reference.qmatmul([0] * 1024, dtype, 1, 256, [[0.0] * 256])


def test_misfits_are_refused() -> None:
    raw = weights(GGMLType.Q4_K)
    with pytest.raises(ValueError, match="5×512 in Q4_K takes 1440 bytes, got 1439 values"):
        pack(raw.reshape(-1)[:-1], GGMLType.Q4_K, ROWS, COLS)
    with pytest.raises(ValueError, match=r"weight is 5×512, but x has shape \(3, 511\)"):
        qmatmul(raw, GGMLType.Q4_K, ROWS, COLS, tokens(cols=511))
    with pytest.raises(ValueError, match=r"needs activations \(3, 512\), got \(3, 256\)"):
        multiply(pack(raw, GGMLType.Q4_K, ROWS, COLS), *quantize_activations(tokens(cols=256)))
    with pytest.raises(ValueError, match="multiple of 32"):
        quantize_activations(tokens(cols=33))
    with pytest.raises(ValueError, match="got float64"):
        quantize_activations(tokens().astype(np.float64))  # type: ignore[arg-type]


class TestActivations:
    @pytest.mark.untraced
    @settings(max_examples=200)
    @given(
        values=st.lists(
            st.floats(width=32) | st.integers(-127, 127).map(float), min_size=64, max_size=64
        ),
        scale=st.sampled_from([1.0, 0.5, 1e-3, 1e-40]),
    )
    def test_equal_the_scalar_definition(self, values: list[float], scale: float) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.array([values], dtype=np.float32) * np.float32(scale)
        q, scales = quantize_activations(x)
        levels, expected_scales = reference.quantize_activations(x[0].tolist())
        assert q[0].tolist() == levels
        np.testing.assert_array_equal(scales[0], np.array(expected_scales, dtype=np.float32))

    def test_halves_round_away_from_zero(self) -> None:
        x = np.zeros((1, 32), dtype=np.float32)
        x[0, :6] = [127, 0.5, -0.5, 1.5, -2.5, np.nextafter(np.float32(0.5), np.float32(0))]
        q, scales = quantize_activations(x)
        assert scales.tolist() == [[1.0]]
        assert q[0, :6].tolist() == [127, 1, -1, 2, -3, 0]

    def test_sums_are_exact(self) -> None:
        q = np.random.default_rng(0).integers(-127, 128, (3, 96)).astype(np.int8)
        np.testing.assert_array_equal(
            activation_sums(q), q.astype(np.int64).reshape(3, 6, 16).sum(axis=2)
        )
