"""Interleaving rows at load time, into memory of its own."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inference import threads as pool
from inference.kernels.cpu import checked
from inference.kernels.cpu.compiled import njit
from inference.kernels.cpu.memory import address_of
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.lanes import I8, I16, I32, I64, ROWS
from inference.kernels.qmatmul.regions import Memory, Shared
from inference.quant.types import GGMLType, block_size, padded_row_bytes, type_size

_CHUNK_BYTES = 1 << 20
_POPULATE_READ = 22  # MADV_POPULATE_READ of Linux 5.14, which Python does not name


def packed_bytes(dtype: GGMLType, rows: int, cols: int) -> int:
    """Return the size of a weight laid out for its kernel."""
    blocks, per_unit = -(-cols // block_size(dtype)), _blocks_per_unit(dtype)
    return -(-rows // ROWS) * -(-blocks // per_unit) * FUSED[dtype].layout.size


def _blocks_per_unit(dtype: GGMLType) -> int:
    return 32 * FUSED[dtype].layout.blocks // block_size(dtype)


def interleave(
    raw: NDArray[np.uint8], dtype: GGMLType, rows: int, cols: int, memory: Memory | None = None
) -> NDArray[np.uint8]:
    """Lay out a weight for its kernel, see ``layouts``: rows and units are filled up with zeros.

    Shapes:
        raw: [rows · row bytes], contiguous
        returns: [row groups · bytes per group], read-only
    """
    layout = FUSED[dtype].layout
    row_bytes, blocks = padded_row_bytes(dtype, cols), -(-cols // block_size(dtype))
    per_unit = _blocks_per_unit(dtype)
    group = -(-blocks // per_unit) * layout.size
    groups = -(-rows // ROWS)
    packed = (memory or _shared).take(packed_bytes(dtype, rows, cols))
    source = raw.view()
    source.flags.writeable = False  # for Numba this is a type of its own: one compilation is enough

    def work(first: int, last: int) -> None:
        with _read_once(raw, ROWS * first * row_bytes, min(rows, ROWS * last) * row_bytes):
            _interleave(
                source, rows, row_bytes, blocks, type_size(dtype),
                layout.moves, per_unit, layout.size, packed, group, first, last,
            )  # fmt: skip

    if packed.size:
        checked.note(raw, f"the bytes of a weight in {dtype.name}")
        pool.for_chunks(work, groups, max(1, _CHUNK_BYTES // group))
        checked.raise_fault(f"packing {rows}×{cols} in {dtype.name}")
    packed.flags.writeable = False
    return packed


_shared = Shared()


@contextmanager
def _read_once(raw: NDArray[np.uint8], first: int, last: int) -> Iterator[None]:
    """Have these bytes of a mapped file present while they are read, and drop them afterwards.

    Only for read-only maps: their pages come back from the file when somebody reads them again.
    """
    pages: object = raw
    while isinstance(pages, np.ndarray):
        pages = pages.base
    if isinstance(pages, memoryview):
        pages = pages.obj
    if raw.flags.writeable or not isinstance(pages, mmap.mmap) or not hasattr(pages, "madvise"):
        yield
        return
    start = address_of(raw) - address_of(np.frombuffer(pages, np.uint8))
    first, last = (start + first) // mmap.PAGESIZE * mmap.PAGESIZE, start + last
    with suppress(OSError):
        pages.madvise(_POPULATE_READ, first, last - first)
    yield
    with suppress(OSError):
        pages.madvise(mmap.MADV_DONTNEED, first, last - first)


def _access(kind: Any, numba_type: Any) -> tuple[Any, Any]:
    """Make ``load(array, at)`` and ``store(array, at, value)`` of unaligned numbers."""

    def place(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
        data = context.make_array(array_type)(context, builder, array).data
        found = builder.gep(data, [at])
        if checked.ON:
            address = builder.ptrtoint(found, I64)
            found = builder.inttoptr(checked.emit(builder, address, kind.width // 8), found.type)
        return builder.bitcast(found, kind.as_pointer())

    def load(typing_context, array, at):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.load(place(context, builder, signature.args[0], *arguments), align=1)

        return numba_type(array, types.intp), generate

    def store(typing_context, array, at, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            to = place(context, builder, signature.args[0], *arguments[:2])
            builder.store(arguments[2], to, align=1)
            return context.get_dummy_value()

        return types.void(array, types.intp, numba_type), generate

    return intrinsic(load), intrinsic(store)


_load_word, _store_word = _access(I32, types.uint32)
_load_half, _store_half = _access(I16, types.uint16)
_load_byte, _store_byte = _access(I8, types.uint8)
_U32 = np.uint32


@njit(inline="always")
def _fifths(word):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Move bit 4t + c to bit 8c + t: the bits of four neighbouring weights into four bytes.

    The five bits of a bit's index move two places, in four exchanges of two of them.
    """
    word = _exchange(word, _U32(3), _U32(0x0A0A0A0A))
    word = _exchange(word, _U32(6), _U32(0x00CC00CC))
    word = _exchange(word, _U32(12), _U32(0x0000F0F0))
    return _exchange(word, _U32(8), _U32(0x0000FF00))


@njit(inline="always")
def _exchange(word, shift, mask):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Exchange the bits under ``mask`` with those ``shift`` places above."""
    different = _U32(_U32(_U32(word >> shift) ^ word) & mask)
    return _U32(word ^ _U32(different ^ _U32(different << shift)))


@njit(inline="always")
def _six_bits(raw, block, j, minimum):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the scale or the minimum of sub-block j from the 12 bytes after d and dmin."""
    at = block + (8 if minimum else 4) + j
    byte = np.int64(_load_byte(raw, at))
    if j < 4:
        return byte & 63
    both = np.int64(_load_byte(raw, block + 8 + j))
    low = both >> 4 if minimum else both & 15
    return low | (np.int64(_load_byte(raw, at - 4)) >> 6) << 4


@njit(cache=True, nogil=True, error_model="numpy")
def _interleave(  # type: ignore[no-untyped-def]
    raw, rows, row_bytes, blocks, size, moves, per_unit, unit, packed, group, first, last
):  # pragma: no cover
    for g in range(first, last):
        lanes = min(16, rows - 16 * g)
        for b in range(blocks):
            block = 16 * g * row_bytes + b * size
            start, step = g * group + b // per_unit * unit, b % per_unit
            for m in range(moves.shape[0]):
                kind, at = moves[m, 0], block + moves[m, 1]
                to = start + moves[m, 2] + step * moves[m, 3]
                if kind == 0:
                    for i in range(lanes):
                        _store_word(packed, to + 4 * i, _load_word(raw, at + i * row_bytes))
                elif kind == 1:
                    for i in range(lanes):
                        _store_half(packed, to + 2 * i, _load_half(raw, at + i * row_bytes))
                elif kind == 2:
                    for i in range(lanes):
                        _store_byte(packed, to + i, _load_byte(raw, at + i * row_bytes))
                elif kind == 3:
                    for i in range(lanes):
                        word = _load_word(raw, at + i * row_bytes)
                        _store_word(packed, to + 4 * i, _fifths(word))
                else:
                    for i in range(lanes):
                        bits = _six_bits(raw, block + i * row_bytes, moves[m, 1] - 4, kind == 5)
                        _store_byte(packed, to + i, np.uint8(bits))
