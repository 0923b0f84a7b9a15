"""A fused type is one row here and one in `inference.quant.formats`; what is missing is named."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from inference.backends.cpu.lowered.executor import TALLIES
from inference.kernels.cpu.memory import address_of, aligned
from inference.kernels.qmatmul import FUSED_KERNELS, cpu, kernel_name, pack, quantize_activations
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.layouts import Move
from inference.quant.formats import FORMATS
from inference.quant.types import GGMLType, block_size, type_size

TYPES = pytest.mark.parametrize("dtype", FUSED, ids=lambda dtype: dtype.name)


@njit
def _by_address(code, arguments):  # type: ignore[no-untyped-def]
    return cpu.call_kernel(code, arguments)


SIZES = {Move.WORD: 4, Move.HALF: 2, Move.BYTE: 1, Move.FIFTHS: 4}


@TYPES
def test_a_row_has_its_other_half(dtype: GGMLType) -> None:
    assert dtype in FORMATS, f"inference/quant/formats.py has no row {dtype.name}"
    parse = FORMATS[dtype].parse
    assert parse is not None, f"FORMATS[{dtype.name}] has no parse: the scalar product needs it"


@TYPES
def test_every_byte_of_a_block_is_moved_once(dtype: GGMLType) -> None:
    layout = FUSED[dtype].layout
    assert 32 * layout.blocks % block_size(dtype) == 0
    moved = [
        at + i
        for kind, at, _, _ in layout.moves.tolist()
        if kind in SIZES
        for i in range(SIZES[kind])
    ]
    if any(kind == Move.SCALE for kind in layout.moves[:, 0]):
        moved += range(4, 16)  # the twelve bytes that scales and minima share
    assert sorted(moved) == list(range(type_size(dtype)))


@TYPES
def test_a_kernel_is_called_as_its_type(dtype: GGMLType) -> None:
    kernel = FUSED_KERNELS[dtype]
    assert kernel_name(kernel) == f"inference.kernels.qmatmul.cpu.{dtype.name.lower()}"
    assert FUSED[dtype].weights in str(kernel.__doc__)
    assert int(dtype) < TALLIES


@TYPES
def test_a_kernel_that_is_called_by_address_says_which_it_is(dtype: GGMLType) -> None:
    shape = 16, 256 // block_size(dtype), type_size(dtype)
    raw = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for kind, at, _, _ in FUSED[dtype].layout.moves.tolist():
        if kind == Move.HALF:
            raw[..., at : at + 2] = np.array([0.03], "<f2").view(np.uint8)
    q, scales = quantize_activations(np.ones((1, 256), np.float32))
    weight = pack(raw, dtype, 16, 256)
    corrections = cpu.activation_corrections(q, scales, dtype)
    scratch = aligned(cpu.scratch_bytes(8))
    results = np.full((2, 1, 16), np.nan, np.float32)

    def arguments(out: np.ndarray) -> list[int]:
        places = [address_of(array) for array in (q, scales, corrections, out)]
        return [address_of(weight.data), 8, *places, 16, address_of(scratch), 1, 0, 1]

    weight.kernel(*arguments(results[0]))
    assert _by_address(cpu.kernel_code(dtype), tuple(arguments(results[1]))) == int(dtype)
    assert np.isfinite(results).all()
    np.testing.assert_array_equal(results[0], results[1])


def test_a_type_without_a_kernel_has_no_address() -> None:
    with pytest.raises(KeyError):
        cpu.kernel_code(GGMLType.F32)
