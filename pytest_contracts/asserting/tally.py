"""How many assertions passed, and which failed unheard; rewritten modules count here."""

from __future__ import annotations

import mmap
import os
from types import GeneratorType
from typing import TypeVar

T = TypeVar("T")


class Tally:
    """Counts for the one procedure or harness that runs in this process.

    ``passed`` grows with every assertion that held. A byte that forked processes share tells of
    those that held in them: a pool's workers count as its procedure does.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.unheard: list[AssertionError] = []
        self._elsewhere = mmap.mmap(-1, 1)
        self._forked = False
        os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self._forked = True

    def begin(self) -> None:
        """Begin to count anew."""
        self.passed = 0
        self.unheard.clear()
        self._elsewhere[0] = 0

    @property
    def reached(self) -> bool:
        """Whether an assertion held since ``begin``, here or in a process that was forked."""
        return bool(self.passed or self._elsewhere[0])

    def note(self) -> None:
        """Count an assertion that held."""
        self.passed += 1
        if self._forked:
            self._elsewhere[0] = 1

    def each(self, value: T) -> T:
        """Count one round of a comprehension that an assertion is about; return ``value``."""
        self.note()
        return value

    def value(self, value: T) -> T:
        """Count an assertion of a bare value, which is none where the value cannot be false.

        Such is a function that nobody called, or a generator that nobody asked.
        """
        if not (callable(value) or isinstance(value, GeneratorType)):
            self.note()
        return value

    def unheard_of(self, error: AssertionError) -> None:
        """Keep an assertion's failure that the code around it lets pass."""
        self.unheard.append(error)


TALLY = Tally()
"""The count of this process."""
