"""Memory by address, for compiled code whose tensors are rows of a table and not arguments.

An address is an int64; whoever passes it keeps the memory alive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inference.kernels.cpu import checked
from inference.kernels.cpu.compiled import njit


def _pointer(kind: Any) -> Any:
    @intrinsic
    def pointer(typing_context, address, size):  # type: ignore[no-untyped-def]
        target = types.CPointer(kind)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            address = checked.emit(builder, *arguments)
            return builder.inttoptr(address, context.get_value_type(target))

        return target(types.int64, types.int64), generate

    return pointer


_float32, _int64 = _pointer(types.float32), _pointer(types.int64)
_int32, _int8 = _pointer(types.int32), _pointer(types.int8)


@njit(inline="always")
def floats(address, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """View float32 [rows, columns] at an address."""
    return carray(_float32(address, 4 * rows * columns), (rows, columns))


@njit(inline="always")
def row_of_floats(address, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """View float32 [size] at an address."""
    return carray(_float32(address, 4 * size), (size,))


@njit(inline="always")
def integers(address, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """View int64 [size] at an address."""
    return carray(_int64(address, 8 * size), (size,))


@njit(inline="always")
def words(address, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """View int32 [rows, columns] at an address."""
    return carray(_int32(address, 4 * rows * columns), (rows, columns))


@njit(inline="always")
def octets(address, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """View int8 [rows, columns] at an address."""
    return carray(_int8(address, rows * columns), (rows, columns))


def address_of(array: NDArray[Any], name: str = "") -> int:
    """Return where the first element lies; ``name`` says what it is where memory is checked."""
    if checked.ON:
        checked.note(array, name)
    return int(array.__array_interface__["data"][0])


def aligned(size: int, name: str = "scratch memory") -> NDArray[np.uint8]:
    """Return ``size`` zero bytes that begin on a cache line; untouched pages cost nothing."""
    if checked.ON:
        return checked.guarded(size, name)
    memory = np.zeros(size + 64, np.uint8)
    skip = -address_of(memory) % 64
    return memory[skip : skip + size]
