"""What lets compiled functions on several threads work on one table: counters and a barrier.

``sync`` is the address of zeroed memory of ``SYNC_BYTES``: arrivals, generation, an end before
time. They lie 128 bytes apart, since processors fetch cache lines in pairs.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from inference.kernels.cpu.compiled import njit

APART = 128
SYNC_BYTES = 3 * APART
GENERATION, STOP = APART, 2 * APART

_SPINS = 300  # pauses before the processor is offered to others: they may hold who is missing
_I64 = ir.IntType(64)

# SwitchToThread is what Windows calls it.
_yield = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)
_PAUSES = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}
_HINTS = {"aarch64": "llvm.aarch64.hint", "arm64": "llvm.aarch64.hint"}


def _word(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


@intrinsic
def fetch_add(typing_context, address, value):  # type: ignore[no-untyped-def]
    """Add to the int64 at an address in one step; return what it was."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = _word(builder, arguments[0])
        return builder.atomic_rmw("add", place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def load_acquire(typing_context, address):  # type: ignore[no-untyped-def]
    """Read an int64; what its writer wrote before is seen afterwards."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load_atomic(_word(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store_release(typing_context, address, value):  # type: ignore[no-untyped-def]
    """Write an int64 after everything written before."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _pause(typing_context):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        machine, void = platform.machine(), ir.VoidType()
        if machine in _PAUSES:
            kind = ir.FunctionType(void, [])
            name = _PAUSES[machine]
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        elif machine in _HINTS:
            kind = ir.FunctionType(void, [ir.IntType(32)])
            name = _HINTS[machine]
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.Constant(ir.IntType(32), 1)])  # YIELD
        return context.get_dummy_value()

    return types.void(), generate


@njit(nogil=True)
def meet(sync, threads):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wait until all ``threads`` are here; False when the work has been called off."""
    if threads == 1:
        return True
    generation = load_acquire(sync + GENERATION)
    if fetch_add(sync, 1) == threads - 1:
        store_release(sync, 0)
        store_release(sync + GENERATION, generation + 1)
        return True
    spins = 0
    while load_acquire(sync + GENERATION) == generation:
        if spins < _SPINS:
            _pause()
            spins += 1
        elif load_acquire(sync + STOP) != 0:
            return False
        else:
            _yield()
    return True
