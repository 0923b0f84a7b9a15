"""Files that become shorter while they are mapped: an error in place of the end of the process.

Reading a mapped page behind a file's new end raises SIGBUS, whose default ends the process without
a word. Here zeros take the place of what is gone, so that the reader gets to its end, and the file
is noted: whoever asks `check_faults` next raises. Only where a signal's structures are known (Linux
on 64 bits); elsewhere the default stays.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from inference.errors import ModelFileError

_SA_SIGINFO, _SA_NODEFER = 4, 0x4000_0000
_MAP_FIXED = 0x10
_ADDRESS_AT = 16  # of si_addr in siginfo_t

_ranges: dict[int, tuple[int, Path]] = {}
_bad: dict[int, tuple[int, Path]] = {}
"""Those of the ranges whose file has become shorter; they stay until they are unmapped."""

_unsaid: dict[int, Path] = {}
"""Files whose change nobody has been told of yet."""

_kept: list[_Guard] = []


class _Action(ctypes.Structure):
    """Linux's struct sigaction, as the C library takes it."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def check_faults(addresses: Iterable[int] | None = None) -> None:
    """Raise ``ModelFileError`` if a mapped file was found shorter than it was.

    With ``addresses`` it is about the files that are mapped there, however often it is asked;
    without, about every file, and once for each.
    """
    if addresses is not None and _bad:
        asked = list(addresses)
        for begin, (size, path) in list(_bad.items()):
            if any(begin <= address < begin + size for address in asked):
                _unsaid.pop(begin, None)
                raise changed(path)
    elif addresses is None and _unsaid:
        raise changed(_unsaid.popitem()[1])


def changed(path: Path) -> ModelFileError:
    """Return the error for a file that changed under its reader."""
    return ModelFileError(path, "changed while it was read; try again when nobody writes it")


def watch(address: int, size: int, path: Path) -> Callable[[], None]:
    """Guard a mapping against its file's becoming shorter; return what ends that.

    The signal is taken back here if somebody else has taken it since the last mapping, as
    ``faulthandler`` does whenever it is enabled or disabled (pytest does both).
    """
    if not _known():
        return lambda: None
    if not _kept:
        _kept.append(_Guard())
    if not _kept[0].install():
        return lambda: None
    _ranges[address] = size, path

    def forget() -> None:
        if _ranges.get(address) == (size, path):
            del _ranges[address]
            _bad.pop(address, None)

    return forget


def _known() -> bool:
    linux = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    return linux and ctypes.sizeof(ctypes.c_void_p) == 8


class _Guard:
    """The handler of SIGBUS, and who had the signal before."""

    def __init__(self) -> None:
        self._libc = libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
            ctypes.c_long,
        ]  # fmt: skip
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._callback = kind(self._handle)  # kept: the C library holds no reference
        self._action = _Action(
            handler=ctypes.cast(self._callback, ctypes.c_void_p).value,
            flags=_SA_SIGINFO | _SA_NODEFER,
        )
        self._before = _Action()

    def install(self) -> bool:
        """Take the signal, unless it is ours already; say whether it is ours now."""
        now = _Action()
        if self._libc.sigaction(signal.SIGBUS, None, ctypes.byref(now)) != 0:
            return False
        if now.handler == self._action.handler:
            return True
        self._before = now
        return self._set(self._action)

    def _set(self, action: _Action) -> bool:
        return bool(self._libc.sigaction(signal.SIGBUS, ctypes.byref(action), None) == 0)

    # Runs on the thread that faulted, in the middle of whatever read the page. No reader holds a
    # lock of the allocator then, and the thread has the interpreter's lock or may take it.
    def _handle(self, number: int, info: int, context: int) -> None:
        page = mmap.PAGESIZE
        how = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
        at = ctypes.c_uint64.from_address(info + _ADDRESS_AT).value
        for begin, (size, path) in list(_ranges.items()):
            if begin <= at < begin + size:
                first = at - at % page
                rest = begin + size - first
                if self._libc.mmap(first, rest, mmap.PROT_READ, how, -1, 0) == first:
                    _bad[begin] = size, path
                    _unsaid[begin] = path
                    return
        # Not ours: as it was before, and by default if it comes back, since who had it before may
        # have had it from us, and each would hand it to the other for ever.
        before, self._before = self._before, _Action()
        self._set(before)
