"""Quantized weights times int8 activations on the CPU: the compiled functions.

There is one kernel for every row of ``fused``, and all have the same arguments. Int8 products are
summed in int32 per block of 32, and only block sums meet the float scales. The constant part of a
weight (Q4_0's −8, Q4_K's min, …) is paid once per block, through the activations' sums: these are
the corrections.

Arguments of the kernels, all int64; memory is given by address:
    packed: [groups · bytes per group] uint8, 16 rows interleaved, see ``layouts``
    blocks: blocks of 32 in a row of activations, k/32
    q: [n, k] int8; scales: [n, k/32] float32; corrections: [n, k/32] or [n, k/16] int32
    out: [n, width] float32; columns 16 · first … 16 · last − 1 are written
    scratch: ``scratch_bytes(blocks)`` of memory that starts on a cache line
    tokens: n; first, last: the groups of 16 rows of the weight
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from inference.kernels.cpu import checked
from inference.kernels.cpu.apart import calling, code_of
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import address_of, row_of_floats
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.product import (
    LEVEL_BYTES,
    SCALE_BYTES,
    correction_factor,
    product,
)
from inference.kernels.qmatmul.rounding import round_block
from inference.quant.types import GGMLType

I32, F32 = np.int32, np.float32


@njit(cache=True, nogil=True)
def sum_groups(q, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``sums`` with the sums of 16 neighbouring activations."""
    for t in range(q.shape[0]):
        for g in range(sums.shape[1]):
            total = I32(0)
            for i in range(16 * g, 16 * g + 16):
                total += I32(q[t, i])
            sums[t, g] = total


@njit(cache=True, nogil=True)
def fill_corrections(sums, scales, form, factor, corrections):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare what the constant part of the weights adds: form 0 offset, 1 minimum, 2 halves."""
    for t in range(scales.shape[0]):
        for b in range(scales.shape[1]):
            left, right = sums[t, 2 * b], sums[t, 2 * b + 1]
            if form == 0:
                corrections[t, b] = factor * (left + right)
            elif form == 1:
                corrections[t, b] = F32(F32(I32(left + right)) * scales[t, b]).view(I32)
            else:
                corrections[t, 2 * b] = factor * left
                corrections[t, 2 * b + 1] = factor * right


def scratch_bytes(blocks: int) -> int:
    """Return the memory that a kernel needs to unpack one group of rows of ``blocks`` blocks."""
    return blocks * (LEVEL_BYTES + SCALE_BYTES)


@njit(cache=True, nogil=True)
def quantize_blocks(x, q, scales, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Round ``count`` blocks of 32 activations, one after the other; all by address."""
    values = row_of_floats(scales, count)
    for block in range(count):
        values[block] = round_block(x + 128 * block, q + 32 * block)


def _kernel(dtype: GGMLType) -> Any:
    """Define the kernel of a type: a function of its own name, by which Numba's cache knows it.

    It returns the type's number, so that who calls it by address knows which kernel that was.
    """
    number = int(dtype)

    def kernel(  # type: ignore[no-untyped-def]
        packed, blocks, q, scales, corrections, out, width, scratch, tokens, first, last
    ):  # pragma: no cover
        product(
            number, packed, blocks, q, scales, corrections, out, width, scratch, tokens, first, last
        )
        return number

    kernel.__name__ = kernel.__qualname__ = dtype.name.lower()
    kernel.__doc__ = f"Multiply with weights ``{FUSED[dtype].weights}``."
    return njit(cache=True, nogil=True)(kernel)


KERNELS: Mapping[GGMLType, Callable[..., None]] = MappingProxyType(
    {dtype: _kernel(dtype) for dtype in FUSED}
)
"""The compiled product of every fused type, a function with its name in lower case."""

_SIGNATURE = types.int64(*[types.int64] * 11)

call_kernel = calling(_SIGNATURE)
"""For compiled callers: run the kernel at an address; return the number of its type."""


def kernel_code(dtype: GGMLType) -> int:
    """Return the address of the kernel of a type."""
    return code_of(KERNELS[dtype], _SIGNATURE)


def quantize_activations(
    x: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round activations to int8 with one float32 scale per 32, halves away from zero.

    The rounding is that of ggml's Q8_0 reference quantizer, but the scale keeps full precision.
    A block with NaN or infinity gets scale NaN; one whose scale is below the normal range is zero.

    Shapes:
        x: [n, k], k a multiple of 32
        returns: q [n, k] and scales [n, k/32]
    """
    n, k = x.shape
    if k % 32 or x.dtype != np.float32:
        raise ValueError(
            f"quantize_activations: needs float32 rows of a multiple of 32, got {x.dtype}{x.shape}"
        )
    x = np.ascontiguousarray(x)
    q, scales = np.empty((n, k), dtype=np.int8), np.empty((n, k // 32), dtype=np.float32)
    quantize_blocks(address_of(x), address_of(q), address_of(scales), scales.size)
    checked.raise_fault("quantize_activations")
    return q, scales


def activation_sums(q: NDArray[np.int8]) -> NDArray[np.int32]:
    """Sum 16 neighbouring activations: [n, k] to [n, k/16]. Exact, and independent of weights."""
    q = np.ascontiguousarray(q)
    sums = np.empty((q.shape[0], q.shape[1] // 16), dtype=np.int32)
    sum_groups(q, sums)
    return sums


def activation_corrections(
    q: NDArray[np.int8], scales: NDArray[np.float32], dtype: GGMLType
) -> NDArray[np.int32]:
    """Prepare what a type's constant part adds to each block, in the bits that its kernel reads."""
    form, factor, per_block = correction_of(dtype)
    corrections = np.empty((scales.shape[0], per_block * scales.shape[1]), dtype=np.int32)
    fill_corrections(activation_sums(q), scales, form, I32(factor), corrections)
    return corrections


def correction_of(dtype: GGMLType) -> tuple[int, int, int]:
    """Return form and factor for ``fill_corrections``, and how many corrections a block has."""
    form = ("offset", "minimum", "halves").index(FUSED[dtype].layout.form)
    return form, correction_factor(dtype), 2 if form == 2 else 1
