"""What goes to the path engine, tried first: on the machine, on values at the edges and random.

A symbolic proof is about the engine's model of Python. A value that fails here refutes the claim,
whatever that model says of it.
"""

from __future__ import annotations

import builtins
import random
import signal
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.errors import ContractError
from pytest_contracts.symbolic.draws import Discarded, Domain, Draws, Harness

DRAWS = 400
"""Little beside one exploration, and a number: what is found depends on no clock."""
# Where types end: of bytes, half, single and double floats' significands, words, and floats.
_POWERS = (4, 7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64, 128, 1024)
_EDGES = tuple(
    sorted({0, 10} | {s * (2**p + d) for p in _POWERS for d in (-1, 0, 1) for s in (1, -1)})
)
# As floats of 2, 4 and 8 bytes: NaN, infinity, the smallest, −0.0.
_WORDS = tuple(
    word.to_bytes(size, "little")
    for size, words in (
        (2, (0x7E00, 0x7C00, 0x0001, 0x8000)),
        (4, (0x7FC00000, 0x7F800000, 0x00000001, 0x80000000)),
        (8, (0x7FF8 << 48, 0x7FF0 << 48, 1, 1 << 63)),
    )
    for word in words
)


_LEAST_S = 0.001
"""A timer of nothing would never ring."""


class _Slow(BaseException):
    """A run takes too long; not an `Exception`, so the code under test lets it pass."""


class SampledDraws(Draws):
    """Draws of values at the edges of their domains and of types, and of random ones."""

    def __init__(self, source: random.Random, edge: int | None, bound: int | None) -> None:
        super().__init__(bound)
        self._source = source
        self._edge = edge

    def assume(self, condition: object) -> None:
        """Discard the run where ``condition`` does not hold."""
        if not condition:
            self.discarded = True
            raise Discarded

    def _draw_int(
        self, name: str, lo: builtins.int | None, hi: builtins.int | None
    ) -> builtins.int:
        self.domains[name] = Domain("int", lo, hi)
        least = -(2**1025) if lo is None else lo
        most = 2**1025 if hi is None else hi
        if most < least:
            raise Discarded
        edges = _edges(least, most)
        if self._edge is not None:
            return edges[self._edge % len(edges)]
        match self._source.randrange(4):
            case 0:
                return self._source.randint(least, most)
            case 1:
                return self._source.choice(edges)
            case 2:
                return min(least + self._source.getrandbits(self._source.randrange(1, 65)), most)
            case _:
                return max(most - self._source.getrandbits(self._source.randrange(1, 65)), least)

    def _draw_bool(self, name: str) -> builtins.bool:
        self.domains[name] = Domain("bool", 0, 1)
        return bool(self._source.getrandbits(1) if self._edge is None else self._edge % 2)

    def _draw_bytes(self, name: str, length: builtins.int) -> builtins.bytes:
        self.domains[name] = Domain("bytes", length, length)
        kind = self._source.randrange(3) if self._edge is None else 2
        if kind == 0:
            return self._source.randbytes(length)
        if kind == 1:
            word = self._source.choice(_WORDS)
            return (word * (length // len(word) + 1))[:length]
        return bytes([self._source.choice((0, 1, 127, 128, 255))]) * length


@cache
def _edges(least: int, most: int) -> tuple[int, ...]:
    """Return both ends, their neighbours, and where types end between them."""
    ends = (least, most, min(least + 1, most), max(most - 1, least))
    return ends + _EDGES[bisect_left(_EDGES, least) : bisect_right(_EDGES, most)]


@dataclass(slots=True)
class Sample:
    """How many runs there were; values that met every assumption, and the first that failed.

    ``complete`` is False where the time was up before all values had been tried.
    """

    runs: int = 0
    complete: bool = True
    meeting: dict[str, Any] | None = None
    failing: dict[str, Any] | None = None


def sample(harness: Harness, bound: int | None, *, cpu_s: float) -> Sample:
    """Run ``harness`` on some values, the same each time, until one fails.

    After ``cpu_s`` seconds, which only a run that would not end should need, the rest is left out.
    """
    source, found = random.Random(0), Sample()
    try:
        with _alarm(cpu_s):
            for number in range(DRAWS):
                # Every other run has all of its draws at the same edge of their domains.
                edge = None if number % 2 else number // 2
                if not _run(harness, SampledDraws(source, edge, bound), found):
                    break
    except _Slow:
        found.complete = False
    return found


def _run(harness: Harness, draws: SampledDraws, found: Sample) -> bool:
    """Run once; tell whether to go on."""
    found.runs += 1
    try:
        TALLY.begin()
        harness(draws)
        if TALLY.unheard:
            raise TALLY.unheard[0]
    except (Discarded, MemoryError):
        return True
    except ContractError:
        raise
    except Exception:
        if draws.discarded:  # the signal was swallowed, and what followed means nothing
            return True
        found.failing = draws.values
        return False
    if not draws.discarded:
        found.meeting = found.meeting or draws.values
    return True


@contextmanager
def _alarm(cpu_s: float) -> Iterator[None]:
    """End what runs for too long without a look at the clock; only a main thread can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise _Slow

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, max(cpu_s, _LEAST_S))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
