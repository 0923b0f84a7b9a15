"""Products of quantized weights with activations, on packed blocks and in integers.

``qmatmul`` never expands weights to float32: a type without a kernel is an error, not a slow path.
``pack`` prepares a weight once; ``multiply`` uses it with activations that several weights share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference import threads as pool
from inference.errors import UnsupportedTypeError
from inference.kernels.cpu import checked
from inference.kernels.cpu.memory import address_of, aligned
from inference.kernels.qmatmul import cpu
from inference.kernels.qmatmul.cpu import (
    activation_corrections,
    activation_sums,
    quantize_activations,
)
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.lanes import ROWS
from inference.kernels.qmatmul.packing import interleave, packed_bytes
from inference.kernels.qmatmul.regions import Memory, Reserved
from inference.kernels.signature import Run, signature
from inference.quant.types import GGMLType, block_size, padded_row_bytes

__all__ = [
    "FUSED_KERNELS",
    "LAUNCHES",
    "Launch",
    "PackedWeight",
    "Reserved",
    "activation_sums",
    "check_bytes",
    "kernel_name",
    "multiply",
    "pack",
    "packed_bytes",
    "qmatmul",
    "quantize_activations",
]

FUSED_KERNELS: Mapping[GGMLType, Callable[..., None]] = cpu.KERNELS


@dataclass(frozen=True, slots=True)
class Launch:
    """What ran: the compiled function, the weight's type, and its size."""

    kernel: str
    dtype: GGMLType
    rows: int
    cols: int


LAUNCHES: Counter[Launch] = Counter()
"""How often each product ran since the process started; a caller compares two readings."""


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """A weight [rows, cols] ready for its kernel; ``data`` is what the kernel reads.

    ``data`` holds the rows interleaved and filled up to whole units of ``padded_cols`` columns.
    """

    dtype: GGMLType
    rows: int
    cols: int
    data: NDArray[np.uint8]
    padded_cols: int
    kernel: Callable[..., None]
    launch: Launch


def pack(
    raw: NDArray[np.uint8], dtype: GGMLType, rows: int, cols: int, memory: Memory | None = None
) -> PackedWeight:
    """Prepare a weight [rows, cols] given as the bytes of its blocks, in ``memory`` if given.

    Raises:
        UnsupportedTypeError: no fused kernel reads this type.
        ValueError: the bytes do not fit the shape.
    """
    try:
        kernel = FUSED_KERNELS[dtype]
    except KeyError:
        known = ", ".join(sorted(entry.name for entry in FUSED_KERNELS))
        raise UnsupportedTypeError(f"no fused kernel for {dtype!r}; supported: {known}") from None
    check_bytes(raw, dtype, rows, cols)
    launch = Launch(kernel_name(kernel), dtype, rows, cols)
    unit = 32 * FUSED[dtype].layout.blocks
    data = interleave(np.ascontiguousarray(raw).reshape(-1), dtype, rows, cols, memory)
    return PackedWeight(dtype, rows, cols, data, -(-cols // unit) * unit, kernel, launch)


def multiply(
    weight: PackedWeight,
    q: NDArray[np.int8],
    scales: NDArray[np.float32],
    *,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Multiply a packed weight with activations from ``quantize_activations``.

    The result does not depend on the number of threads.

    Shapes:
        q: [n, k], scales: [n, k/32]; k is the weight's cols, padded with zeros to whole blocks
        returns: [n, rows]
    """
    k = -(-weight.cols // block_size(weight.dtype)) * block_size(weight.dtype)
    n = q.shape[0]
    if q.shape != (n, k) or scales.shape != (n, k // 32):
        raise ValueError(
            f"qmatmul: {weight.dtype.name} weight {weight.rows}×{weight.cols} needs activations"
            f" ({n}, {k}), got {q.shape} with scales {scales.shape}"
        )
    padding = weight.padded_cols - k
    if padding:
        q = np.pad(q, ((0, 0), (0, padding)))
        scales = np.pad(scales, ((0, 0), (0, padding // 32)))
    q, scales = np.ascontiguousarray(q), np.ascontiguousarray(scales)
    groups = -(-weight.rows // ROWS)
    out = np.empty((n, ROWS * groups), dtype=np.float32)
    LAUNCHES[weight.launch] += 1
    if n == 0 or k == 0:
        out[...] = 0
        return out[:, : weight.rows]
    corrections = activation_corrections(q, scales, weight.dtype)

    blocks = q.shape[1] // 32
    arrays = (q, scales, corrections, out)
    places = [address_of(array) for array in (weight.data, *arrays)]

    def work(first: int, last: int) -> None:
        scratch = aligned(cpu.scratch_bytes(blocks))
        weight.kernel(
            places[0], blocks, *places[1:], out.shape[1], address_of(scratch), n, first, last
        )

    pool.for_chunks(work, groups, _chunk(groups, ROWS * n * k), threads)
    checked.raise_fault(f"a product with {weight.rows}×{weight.cols} in {weight.dtype.name}")
    return out if out.shape[1] == weight.rows else out[:, : weight.rows].copy()


@signature(cpu="whole")
def qmatmul(
    run: Run, raw: NDArray[np.uint8], dtype: GGMLType, rows: int, cols: int, x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``x @ W.T`` for a weight W [rows, cols] given as blocks, activations in int8.

    Shapes:
        raw: the bytes of W's blocks, row by row
        x: [n, cols] float32
        returns: [n, rows] float32
    Raises:
        UnsupportedTypeError: no kernel reads this type.
        ValueError: shapes or dtypes do not fit.
    """
    if x.ndim != 2 or x.shape[1] != cols:
        raise ValueError(f"qmatmul: weight is {rows}×{cols}, but x has shape {x.shape}")
    return run(raw, dtype, rows, cols, x)


def check_bytes(raw: NDArray[np.uint8], dtype: GGMLType, rows: int, cols: int) -> None:
    """Raise ValueError unless these are as many bytes as a weight [rows, cols] has."""
    needed = rows * padded_row_bytes(dtype, cols)
    if raw.dtype != np.uint8 or raw.size != needed:
        raise ValueError(
            f"qmatmul: {rows}×{cols} in {dtype.name} takes {needed} bytes,"
            f" got {raw.size} values of {raw.dtype}"
        )


def _chunk(groups: int, work_per_group: int) -> int:
    """Choose groups per task: enough to pay for the hand-over, and four to own cache lines."""
    enough = -(-(1 << 20) // work_per_group)
    return min(groups, max(4, enough)) or 1


def kernel_name(kernel: Any) -> str:
    """Return the module and name of a function, compiled or not."""
    function = getattr(kernel, "py_func", kernel)
    return f"{function.__module__}.{function.__name__}"
