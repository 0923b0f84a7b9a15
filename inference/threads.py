"""One small pool of threads for loops that release the interpreter lock."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from inference.errors import InputError

_pool: ThreadPoolExecutor | None = None


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


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
