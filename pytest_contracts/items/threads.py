"""Exceptions in threads that a procedure started: they are the procedure's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_that_fail() -> Iterator[None]:
    """Raise, at the end of the block, the first exception of a thread that began within it.

    Nobody hears of it otherwise: the thread just ends. Threads that are still at work are not
    waited for.
    """
    raised: list[BaseException] = []
    before = threading.excepthook
    known = set(threading.enumerate())

    def note(arguments: threading.ExceptHookArgs) -> None:
        error, thread = arguments.exc_value, arguments.thread
        if error is None or thread in known:
            before(arguments)
        else:
            raised.append(error)

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before
    if raised:
        raise raised[0]
