"""Threads for work that releases the interpreter lock: helpers for loops, a crew in step.

They are started with `_thread`, which keeps no books in Python. `threading.Thread.start` enters a
new thread in a table and takes it out again: a signal handler that raises in between (Ctrl-C, an
alarm) leaves the table half done, and ends in a KeyError in place of its own exception.
"""

from __future__ import annotations

import _thread
import contextlib
import itertools
import os
import threading
from collections.abc import Callable

import numpy as np

from inference.errors import InputError

_crew: Crew | None = None

turn = threading.Lock()
"""Held by whoever uses the crew: one works at a time, and the others would only disturb it."""

holder: int | None = None
"""The thread that has the turn, by its identity; set and cleared by whoever takes it."""


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

    The calling thread works too, and goes on with fewer helpers where the system gives no more.
    Exceptions of ``work`` are raised here, once nobody works on any longer.
    """
    count = min(threads or available(), -(-total // chunk)) - 1
    if count <= 0:
        for first in range(0, total, chunk):
            work(first, min(first + chunk, total))
        return
    starts = itertools.count(0, chunk)
    called_off = False
    late: BaseException | None = None

    def drain() -> None:
        while not called_off and (first := next(starts)) < total:
            work(first, min(first + chunk, total))

    helpers = [_Helper(drain) for _ in range(count)]
    try:
        with contextlib.suppress(RuntimeError):  # no more threads to be had
            for helper in helpers:
                helper.start()
        drain()
    finally:
        called_off = True
        while True:  # what follows frees memory in which they work: no interrupt may come before
            try:
                for helper in helpers:
                    helper.wait()
                break
            except BaseException as error:
                late = error
    if late is not None:
        raise late
    for helper in helpers:
        if helper.error is not None:
            raise helper.error


def start(work: Callable[..., object], *arguments: object) -> None:
    """Call ``work(*arguments)`` on a thread of its own, which does not keep the process alive.

    ``RuntimeError`` when the system has no more threads.
    """
    _thread.start_new_thread(work, arguments)


class _Helper:
    """A thread that calls ``work`` once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._work = work
        self._begun = False
        self._working = threading.Lock()

    def start(self) -> None:
        """Begin; ``RuntimeError`` when the system has no more threads."""
        start(self._run)

    def wait(self) -> None:
        """Return when nothing is being worked on; work that begins later has been called off."""
        if self._begun:
            with self._working:
                pass

    def _run(self) -> None:
        with self._working:
            self._begun = True
            try:
                self._work()
            except BaseException as error:
                self.error = error


def _forget_threads() -> None:
    """Threads do not survive a fork, and a lock may have been held by one of them."""
    global _crew, turn, holder
    _crew = holder = None
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
        self._living = [threading.Lock() for _ in range(count - 1)]
        for lock in (*self._wake, *self._living):
            lock.acquire()
        try:
            for number in range(1, count):
                start(self._serve, number)
        except BaseException:  # an interrupt included: those that have started must not wait on
            self.dismiss()
            raise

    def run(self, work: Callable[[int], object]) -> None:
        """Call ``work(number)`` on every thread; number 0 is the caller's.

        Whatever ends a thread's work before time, an interrupt included, calls off that of the
        others and dismisses the crew: ``dismissed`` is true then, and no thread works any longer in
        memory that the caller may now free.
        """
        self._work = work
        try:
            for wake in self._wake:
                wake.release()
            work(0)
            if self._error is not None:
                raise self._error
        except BaseException:
            while True:  # the first interrupt is on its way, and none may come before this is done
                try:
                    self._end()
                    break
                except BaseException:
                    continue
            raise

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

    def _end(self) -> None:
        """Dismiss the crew, and return when its threads have ended."""
        self.dismiss()
        for living in self._living:
            with living:
                pass

    def _serve(self, number: int) -> None:
        try:
            while True:
                self._wake[number - 1].acquire()
                if self.dismissed or self._work is None:
                    return
                try:
                    self._work(number)
                except BaseException as error:
                    self._error = error
                    self.dismiss()
        finally:
            self._living[number - 1].release()


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
