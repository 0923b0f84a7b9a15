"""The enumeration solver: run the harness on every combination of its drawn values.

The domains are not known beforehand, since one draw may bound the next; so the tree of choices is
walked depth first, each run repeating the choices of the last up to where it branches off.
"""

from __future__ import annotations

import builtins
import time
from dataclasses import dataclass

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.errors import ContractError
from pytest_contracts.symbolic.draws import Discarded, Domain, Draws, Harness, Tally

MAX_CASES = 1_000_000
_CLOCK_EVERY = 256


class TooLarge(BaseException):
    """The domain is unbounded or has more than `MAX_CASES` cases."""


class NotReproducible(BaseException):
    """The harness drew differently when run again on the same values."""


@dataclass(slots=True)
class Choice:
    """One draw on the current run: which of how many values."""

    index: int
    size: int


class EnumeratedDraws(Draws):
    """Draws that follow the current branch of the tree and extend it with first values."""

    def __init__(self, branch: list[Choice], bound: int | None) -> None:
        super().__init__(bound)
        self._branch = branch
        self._depth = 0
        self.size = 1

    def assume(self, condition: object) -> None:
        """Discard the run where ``condition`` does not hold."""
        if not condition:
            raise Discarded

    def finish(self) -> None:
        """Check that the run made every choice of its branch."""
        if self._depth != len(self._branch):
            raise NotReproducible("the harness made fewer draws when run again")

    def _next(self, size: builtins.int) -> builtins.int:
        if size <= 0:
            raise Discarded
        if self._depth == len(self._branch):
            self._branch.append(Choice(0, size))
        choice = self._branch[self._depth]
        if choice.size != size:
            raise NotReproducible("a draw had another domain when the harness was run again")
        self._depth += 1
        self.size *= size
        return choice.index

    def _draw_int(
        self, name: str, lo: builtins.int | None, hi: builtins.int | None
    ) -> builtins.int:
        self.domains[name] = Domain("int", lo, hi)
        if lo is None or hi is None:
            raise TooLarge(f"{name} is unbounded")
        return lo + self._next(hi - lo + 1)

    def _draw_bool(self, name: str) -> builtins.bool:
        self.domains[name] = Domain("bool", 0, 1)
        return self._next(2) == 1

    def _draw_bytes(self, name: str, length: builtins.int) -> builtins.bytes:
        self.domains[name] = Domain("bytes", length, length)
        return self._next(256**length).to_bytes(length, "big")


@dataclass(slots=True)
class Enumeration:
    """What the walk found: ``failing`` holds the first counterexample."""

    tally: Tally
    cases: int = 0
    complete: bool = False
    failing: dict[str, object] | None = None


def enumerate_cases(
    harness: Harness, bound: int | None, *, cpu_s: float, give_up_early: bool = False
) -> Enumeration:
    """Run ``harness`` on every case until one fails, all are done, or ``cpu_s`` seconds are used.

    With ``give_up_early`` a branch whose domains multiply to more than `MAX_CASES` ends the walk at
    once, before the cases are counted: the caller has another engine.
    Raises:
        TooLarge: more than `MAX_CASES` cases, or an unbounded draw.
        NotReproducible: the harness is not a function of its draws.
    """
    deadline = time.process_time() + cpu_s
    branch: list[Choice] = []
    found = Enumeration(Tally())
    while True:
        if found.cases == MAX_CASES:
            raise TooLarge(f"more than {MAX_CASES:,} cases")
        if found.cases % _CLOCK_EVERY == 0 and time.process_time() > deadline:
            return found
        draws = EnumeratedDraws(branch, bound)
        found.cases += 1
        TALLY.begin()
        try:
            harness(draws)
            found.tally.note_counted(draws)
        except Discarded:
            pass
        except (ContractError, MemoryError):
            raise
        except Exception:
            found.failing = draws.values
            found.tally.note_domains(draws)
            return found
        found.tally.note_domains(draws)
        draws.finish()
        if give_up_early and draws.size > MAX_CASES:
            raise TooLarge(f"about {draws.size:,} cases")
        while branch and branch[-1].index + 1 == branch[-1].size:
            branch.pop()
        if not branch:
            found.complete = True
            return found
        branch[-1].index += 1
