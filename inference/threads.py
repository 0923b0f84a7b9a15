"""Threads for work that releases the interpreter lock: a pool for loops, a crew in step."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from inference.errors import InputError

_pool: ThreadPoolExecutor | None = None
_crew: Crew | None = None

turn = threading.Lock()
"""Held by whoever uses the crew: one works at a time, and the others would only disturb it."""


def available() -> int:
    """Return how many processors this process may use; APR_THREADS asks for fewer.

    ``InputError`` when APR_THREADS is set and no positive integer.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    asked = os.environ.get("APR_THREADS")
    if asked is None:
        return count
    if not asked.isdecimal() or int(asked) < 1:
        raise InputError(f"APR_THREADS must be a positive integer, got {asked!r}")
    return min(count, int(asked))


def for_chunks(
    work: Callable[[int, int], None], total: int, chunk: int, threads: int | None = None
) -> None:
    """Call ``work(first, last)`` for consecutive ranges that cover ``0..total``.

    The calling thread works too, and helpers that never got to start are not waited for: so the
    call is safe from several threads at once, from inside ``work``, and in a forked child.
    Exceptions of ``work`` are raised here.
    """
    helpers = min(threads or available(), -(-total // chunk)) - 1
    if helpers <= 0:
        for first in range(0, total, chunk):
            work(first, min(first + chunk, total))
        return
    starts = itertools.count(0, chunk)

    def drain() -> None:
        while (first := next(starts)) < total:
            work(first, min(first + chunk, total))

    pool = _shared_pool()
    futures = [pool.submit(drain) for _ in range(helpers)]
    try:
        drain()
    finally:
        running = [future for future in futures if not future.cancel()]
        for future in running:
            future.result()


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, available() - 1), thread_name_prefix="inference")
    return _pool


def _forget_threads() -> None:
    """Threads do not survive a fork, and a lock may have been held by one of them."""
    global _pool, _crew, turn
    _pool = _crew = None
    turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


class Crew:
    """Threads that run one compiled function together, and sleep in between.

    ``sync`` is the address of zeroed memory for them to meet in, as
    `inference.backends.cpu.lowered.team` describes it.
    """

    def __init__(self, count: int, sync_bytes: int, stop: int) -> None:
        self.count = count
        self._memory = np.zeros(sync_bytes + 128, np.uint8)
        skip = -int(self._memory.__array_interface__["data"][0]) % 128
        self._words = self._memory[skip : skip + sync_bytes].view(np.int64)
        self.sync = int(self._words.__array_interface__["data"][0])
        self._stop = stop // 8
        self._work: Callable[[int], object] | None = None
        self._error: BaseException | None = None
        self._wake = [threading.Lock() for _ in range(count - 1)]
        for number, wake in enumerate(self._wake, 1):
            wake.acquire()
            name = f"inference-{number}"
            threading.Thread(
                target=self._serve, args=(number, wake), name=name, daemon=True
            ).start()

    def run(self, work: Callable[[int], object]) -> None:
        """Call ``work(number)`` on every thread; number 0 is the caller's.

        Whatever ends a thread's work before time, an interrupt included, calls off that of the
        others and dismisses the crew: ``dismissed`` is true then.
        """
        self._work = work
        try:
            for wake in self._wake:
                wake.release()
            work(0)
        except BaseException:
            self.dismiss()
            raise
        if self._error is not None:
            raise self._error

    @property
    def dismissed(self) -> bool:
        """Whether the threads have been told to end."""
        return bool(self._words[self._stop])

    def dismiss(self) -> None:
        """Call off what runs, and end the threads."""
        self._words[self._stop] = 1
        for wake in self._wake:
            with contextlib.suppress(RuntimeError):  # awake already
                wake.release()

    def _serve(self, number: int, wake: threading.Lock) -> None:
        while True:
            wake.acquire()
            if self.dismissed or self._work is None:
                return
            try:
                self._work(number)
            except BaseException as error:
                self._error = error
                self.dismiss()


def crew(sync_bytes: int, stop: int) -> Crew:
    """Return the crew of this process, as large as there are processors; ``turn`` must be held."""
    global _crew
    count = available()
    if _crew is not None and (_crew.count != count or _crew.dismissed):
        _crew.dismiss()
        _crew = None
    if _crew is None:
        _crew = Crew(count, sync_bytes, stop)
    return _crew
