"""Checked memory, for finding what writes or reads where it should not: ``APR_DEBUG_MEMORY=1``.

Compiled code is given addresses, so no language checks it. In this mode

- whatever is handed to it is known here, by address, size and name, and every access of the
  generated code, and every view that it makes, is looked up before it happens; one that lies in no
  known memory is led to a pit instead, and the call that made it ends in `MemoryFaultError`;
- memory of the engine's own (packed weights, caches, buffers, scratch) lies between pages that
  nobody may touch, where the system has such, with its end at the later one;
- scratch memory and buffers begin every run as NaN, caches are NaN where nothing has been written;
- Numba checks the indices of arrays, and keeps the code apart from what is compiled otherwise.

The mode is read from the environment when the kernels are imported. Off, nothing here runs but an
``if`` where memory is claimed; the compiled code is the same as without this file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import MemoryFaultError

ON = os.environ.get("APR_DEBUG_MEMORY", "0") not in ("", "0")

SYMBOL, FINISHED = "apr_checked_address", "apr_checked_row"
_SLOTS = 1 << 14
_PIT_BYTES = 1 << 24
_POISON = 0xFF  # as float32 a NaN, as int8 and int32 −1

_ADDRESS, _SIZE, _THREAD, _ROW, _USED = range(5)


class _Known:
    """Memory that compiled code may touch: a row [begin, end) in a table that it reads itself."""

    def __init__(self) -> None:
        self.table = np.zeros((_SLOTS, 2), np.int64)
        self.fault = np.zeros(8, np.int64)
        self.fault[_ROW] = -1
        self.hints = np.zeros(256, np.int64)
        self.pit = np.zeros(_PIT_BYTES, np.uint8)
        self.names: dict[int, str] = {}
        self._slots: dict[tuple[int, int], int] = {}
        self._holders: dict[int, int] = {}
        self._free: list[int] = []
        self._lock = threading.RLock()  # a finalizer may come at any time

    def add(self, begin: int, size: int, name: str, holder: Any) -> None:
        """Know memory until ``holder`` is gone."""
        with self._lock:
            slot = self._slots.get((begin, size))
            if slot is None:
                slot = self._free.pop() if self._free else int(self.fault[_USED])
                if slot == _SLOTS:
                    raise MemoryFaultError(f"more than {_SLOTS} pieces of memory")
                self._slots[begin, size] = slot
                self._holders[slot] = 0
                self.table[slot] = begin, begin + size
                self.fault[_USED] = max(slot + 1, int(self.fault[_USED]))
                self.names[slot] = name
            self._holders[slot] += 1
        weakref.finalize(holder, self._forget, begin, size).atexit = False

    def _forget(self, begin: int, size: int) -> None:
        with self._lock:
            slot = self._slots[begin, size]
            self._holders[slot] -= 1
            if not self._holders[slot]:
                del self._slots[begin, size]
                self.table[slot] = 0
                self._free.append(slot)

    def near(self, address: int) -> str:
        """Say which memory lies at or next before an address."""
        with self._lock:
            slots = list(self._slots.values())
        begins = self.table[slots]
        inside = [
            s for s, (begin, end) in zip(slots, begins, strict=True) if begin <= address < end
        ]
        if inside:
            slot = min(inside, key=lambda s: int(self.table[s, 1] - self.table[s, 0]))
            begin, end = self.table[slot].tolist()
            return f"byte {address - begin} of {self.names[slot]} ({end - begin} bytes)"
        before = [s for s, (begin, _) in zip(slots, begins, strict=True) if begin <= address]
        if not before:
            return "no memory that is known"
        slot = max(before, key=lambda s: int(self.table[s, 1]))
        begin, end = self.table[slot].tolist()
        return f"{address - end} bytes past the end of {self.names[slot]} ({end - begin} bytes)"


known = _Known() if ON else None


def sizes() -> dict[int, set[int]]:
    """Return the sizes of what begins at an address, by address."""
    found: dict[int, set[int]] = {}
    if known is not None:
        for begin, end in known.table[: int(known.fault[_USED])].tolist():
            found.setdefault(begin, set()).add(end - begin)
    return found


def note(array: NDArray[Any], name: str = "") -> None:
    """Let compiled code touch an array, as long as it lives; nothing where the mode is off."""
    if known is not None and array.size:
        begin = int(array.__array_interface__["data"][0])
        if any(step < 0 for step in array.strides):
            raise MemoryFaultError(f"{name or 'an array'} runs backwards: strides {array.strides}")
        last = sum((n - 1) * step for n, step in zip(array.shape, array.strides, strict=True))
        what = name or f"an array {array.dtype}{list(array.shape)}"
        known.add(begin, last + array.itemsize, what, array)


def guarded(size: int, name: str, *, poison: bool = False) -> NDArray[np.uint8]:
    """Return bytes that begin on a cache line and end before a page that nobody may touch.

    Zeros, or NaN if ``poison``.
    """
    assert known is not None
    page = mmap.PAGESIZE
    inner = -(-max(size, 1) // page) * page
    pages = mmap.mmap(-1, inner + 2 * page)
    whole = np.frombuffer(pages, np.uint8)
    begin = int(whole.__array_interface__["data"][0])
    _protect(begin, page)
    _protect(begin + page + inner, page)
    first = page + (inner - size) // 64 * 64
    found = whole[first : first + size]
    if poison:
        found[:] = _POISON
    if size:
        known.add(begin + first, size, name, pages)
    return found


def zeros(shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Return float32 memory for compiled code: zeros, or guarded NaN where the mode is on."""
    if not ON:
        return np.zeros(shape, np.float32)
    size = 4 * int(np.prod(shape))
    return guarded(size, name, poison=True).view(np.float32).reshape(shape)


def empty(shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Return float32 memory that compiled code fills, as `zeros` does."""
    return zeros(shape, name) if ON else np.empty(shape, np.float32)


def poison(array: NDArray[np.uint8]) -> None:
    """Make memory NaN whose content must not matter."""
    array[:] = _POISON


def _protect(address: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    if libc is not None and libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), 0):
        raise OSError(ctypes.get_errno(), "mprotect")


def emit(builder: Any, address: Any, size: Any) -> Any:
    """Generate the look-up of an access; return the address to use. Nothing where it is off."""
    if not ON:
        return address
    from llvmlite import ir
    from numba.core import cgutils

    word = ir.IntType(64)
    kind = ir.FunctionType(word, [word, word])
    function = cgutils.get_or_insert_function(builder.module, kind, SYMBOL)
    size = ir.Constant(word, size) if isinstance(size, int) else size
    return builder.call(function, [address, size])


def raise_fault(what: str, labels: Any = None) -> None:
    """Raise what compiled code has done since the last call, if anything; once."""
    if known is None or known.fault[_ADDRESS] == 0:
        return
    address, size, row = (int(known.fault[i]) for i in (_ADDRESS, _SIZE, _ROW))
    known.fault[_ROW], known.fault[_ADDRESS] = -1, 0
    if labels is not None and row >= 0:
        what = f"{what}, {labels(row)}"
    raise MemoryFaultError(f"{what}: {size} bytes at {known.near(address)}")


def _build(memory: _Known) -> Any:
    """Compile the look-up and give it the name by which generated code calls it."""
    from llvmlite import binding
    from numba import carray, cfunc, config, types
    from numba.extending import intrinsic

    config.BOUNDSCHECK = 1
    config.OPT = type(config.OPT)(1)  # compiling takes longer than what then runs
    config.CACHE_DIR = str(_cache_folder(config.CACHE_DIR))
    self_of_thread = types.ExternalFunction("pthread_self", types.int64())
    table, fault, hints, pit = (
        int(array.__array_interface__["data"][0])
        for array in (memory.table, memory.fault, memory.hints, memory.pit)
    )

    @intrinsic
    def at(typing_context, address):  # type: ignore[no-untyped-def]
        target = types.CPointer(types.int64)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(target))

        return target(types.int64), generate

    @cfunc(types.int64(types.int64, types.int64))
    def look_up(address, size):  # type: ignore[no-untyped-def]  # pragma: no cover
        noted = carray(at(fault), (8,))
        rows = carray(at(table), (_SLOTS, 2))
        if size >= 0:
            near = address >> 12 & 255  # where the last access of these pages was found
            hint = carray(at(hints), (256,))
            i = hint[near]
            if rows[i, 0] <= address and address + size <= rows[i, 1]:
                return address
            for i in range(noted[_USED]):
                if rows[i, 0] <= address and address + size <= rows[i, 1]:
                    hint[near] = i
                    return address
            if size == 0:
                return address
        if noted[_ADDRESS] == 0:
            noted[_SIZE] = size
            noted[_THREAD] = self_of_thread()
            noted[_ADDRESS] = address
        return pit

    @cfunc(types.void(types.int64))
    def finished(row):  # type: ignore[no-untyped-def]  # pragma: no cover
        noted = carray(at(fault), (8,))
        if noted[_ADDRESS] != 0 and noted[_ROW] < 0 and noted[_THREAD] == self_of_thread():
            noted[_ROW] = row

    binding.add_symbol(SYMBOL, look_up.address)
    binding.add_symbol(FINISHED, finished.address)
    return look_up, finished


def _cache_folder(configured: str) -> Path:
    """Return a folder for code compiled like this: loaded otherwise, it would not run."""
    folder = Path(configured or Path(__file__).with_name("__pycache__")) / "checked"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="apr-checked-"))


_compiled = _build(known) if known is not None else None
"""Kept, for generated code calls it by address."""
