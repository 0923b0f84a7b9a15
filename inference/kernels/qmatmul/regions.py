"""Memory for packed weights: large regions of huge pages, where a stream reads a third faster."""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference import threads
from inference.kernels.cpu import checked
from inference.kernels.cpu.memory import address_of

_HUGE = 1 << 21
SMALLEST = 1 << 25
_LINE = 64


class Memory(Protocol):
    """Where packed weights are put."""

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return ``size`` zeros that begin on a cache line."""
        ...


class Shared:
    """Zeros from regions that many small weights share; what is larger gets one of its own.

    A region lives as long as an array in it does. No part of it is handed out twice.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may come here again
        self._region = np.zeros(0, np.uint8)

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return ``size`` zeros that begin on a cache line."""
        if checked.ON:
            return checked.guarded(size, "a packed weight")
        taken = room(size)
        with self._lock:
            if size > self._region.size:
                fresh = region(size)
                if size >= SMALLEST:
                    return fresh[:size]
                self._region = fresh
            # No function is called since the sizes were compared, so nothing came in between.
            part, self._region = self._region[:size], self._region[taken:]
            return part


class Reserved:
    """Zeros from one region whose pages a thread makes present, from the first to the last.

    The system clears a page when it is first touched, which for a whole model takes as long as
    packing it. That needs no interpreter, so it is done while Python still reads the vocabulary.
    """

    def __init__(self, size: int) -> None:
        self._region = region(size)
        self._taken = self._present = 0
        self._size = size
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._process = os.getpid()
        threads.start(self._touch)

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return ``size`` zeros that begin on a cache line; ``ValueError`` when all are taken."""
        if checked.ON:
            return checked.guarded(size, "a packed weight")
        taken = room(size)
        with self._changed:
            # No function is called in between, in which a signal handler could take the same.
            first = self._taken
            last = first + size
            if last <= self._size:
                self._taken = first + taken
            else:
                raise ValueError(f"{size} bytes asked of {self._size - first} reserved ones")
            while self._present < last and self._is_touching():
                self._changed.wait(0.1)
        return self._region[first:last]

    def _is_touching(self) -> bool:
        in_a_forked_child = self._process != os.getpid()  # which has none of the threads
        return not (in_a_forked_child or self._ended.is_set())

    def _touch(self) -> None:
        try:
            for first in range(0, self._size, SMALLEST):
                last = min(first + SMALLEST, self._size)
                # NumPy lets go of the interpreter for this; nobody has been given these bytes yet.
                self._region[first : last : mmap.PAGESIZE] = 0
                with self._changed:
                    self._present = last
                    self._changed.notify_all()
        finally:
            self._ended.set()


def room(size: int) -> int:
    """Return the bytes that an array of ``size`` bytes takes up: whole cache lines."""
    return -(-size // _LINE) * _LINE


def region(size: int) -> NDArray[np.uint8]:
    """Return at least ``size`` zero bytes in huge pages, where the system has some."""
    size = -(-max(size, SMALLEST) // _HUGE) * _HUGE
    if hasattr(mmap, "MAP_PRIVATE"):
        pages = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:
        pages = mmap.mmap(-1, size + _HUGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    found = np.frombuffer(pages, np.uint8)
    skip = -address_of(found) % _HUGE
    return found[skip : skip + size]
