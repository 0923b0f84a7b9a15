"""Who has a session: one call at a time, and a second one is refused.

It could not wait. What it would wait for may be the call that it was made from (by whoever watches
a run, or by a signal handler) or one that never goes on.
"""

from __future__ import annotations

import os
import threading

from inference.errors import SessionBusyError


class Call:
    """A call that has sessions to itself until it is ``over``.

    ``over`` is set in the ``finally`` of a ``try`` that begins before anything is claimed, by an
    assignment: an interrupt between a claim and what is to end it would leave a session in use for
    ever, and Python lets one in around every function, those of context managers included.
    """

    __slots__ = ("name", "over", "process")

    def __init__(self, name: str) -> None:
        self.name = name
        self.over = False
        self.process = os.getpid()  # a child process inherits claims of threads that it has not


class Ownership:
    """The call that has one session, the latest that had it."""

    __slots__ = ("_holder",)

    def __init__(self) -> None:
        self._holder: Call | None = None

    def claim(self, call: Call) -> None:
        """Make the session that of ``call``; SessionBusyError while another has it."""
        # No function is called under the lock, so no signal handler runs there that would claim.
        with _books:
            holder = self._holder
            free = holder is None or holder.over or holder.process != call.process
            if free:
                self._holder = call
        if not free and holder is not call:
            assert holder is not None
            raise SessionBusyError(
                f"the session is in use: {holder.name} has not ended; wait for it, fork the "
                "session before, or give every text a session of its own"
            )


_books = threading.Lock()


def _renew() -> None:
    """A thread that does not survive a fork may hold the lock."""
    global _books
    _books = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
