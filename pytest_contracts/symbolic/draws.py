"""What a harness is given: its inputs, its assumptions, its cover goals.

`Draws` fixes the vocabulary; the engines subclass it. `ConcreteDraws` runs a harness on given
values, which is how a counterexample is replayed.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.errors import ContractBindingError

SHOWN_DOMAINS = 6


class Discarded(BaseException):
    """An assumption does not hold here; not an `Exception`, so the code under test lets it pass."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The values one draw ranges over; an end that depends on other draws is None."""

    kind: str
    lo: int | None
    hi: int | None

    def widened(self, other: Domain) -> Domain:
        """Return the smallest domain that contains both."""
        if self == other:
            return self
        lo = None if self.lo is None or other.lo is None else min(self.lo, other.lo)
        hi = None if self.hi is None or other.hi is None else max(self.hi, other.hi)
        return Domain(self.kind, lo, hi)

    def describe(self, name: str) -> str:
        """Say the domain as mathematics, with the name of the draw."""
        if self.kind == "bool":
            return f"{name} ∈ {{False, True}}"
        if self.kind == "bytes":
            return f"{name} of {self.lo} bytes" if self.lo == self.hi else f"{name} of any bytes"
        lo = "" if self.lo is None else f"{self.lo} ≤ "
        hi = "" if self.hi is None else f" ≤ {self.hi}"
        return f"{lo}{name}{hi}" if lo or hi else f"{name} any integer"


class Draws(ABC):
    """The argument ``k`` of a harness: its bound, inputs, assumptions and cover goals."""

    def __init__(self, bound: builtins.int | None = None) -> None:
        self._bound = bound
        self.values: dict[str, Any] = {}
        self.domains: dict[str, Domain] = {}
        self.covers: dict[str, builtins.int] = {}
        self.discarded = False

    @property
    def bound(self) -> builtins.int:
        """The harness's ``bound:``; an error when the contract gives none."""
        if self._bound is None:
            raise ContractBindingError(
                "the harness reads k.bound, but its contract gives no bound",
                hint="Add `bound: <integer>` to the kani_harnesses entry.",
            )
        return self._bound

    def int(
        self, name: str, lo: builtins.int | None = None, hi: builtins.int | None = None
    ) -> builtins.int:
        """Draw an integer with lo ≤ value ≤ hi; a missing end is unbounded."""
        self._claim(name)
        value = self._draw_int(name, lo, hi)
        self.values[name] = value
        return value

    def bool(self, name: str) -> builtins.bool:
        """Draw a boolean."""
        self._claim(name)
        value = self._draw_bool(name)
        self.values[name] = value
        return value

    def bytes(self, name: str, length: builtins.int) -> builtins.bytes:
        """Draw a byte string of ``length`` bytes."""
        self._claim(name)
        value = self._draw_bytes(name, length)
        self.values[name] = value
        return value

    @abstractmethod
    def assume(self, condition: object) -> None:
        """Go on only where ``condition`` holds; other values are outside the claim."""

    def cover(self, name: str, condition: object = True) -> None:
        """Demand that some run get here with ``condition``; if none does: VACUOUS."""
        self.covers.setdefault(name, 0)
        if condition:
            self.covers[name] += 1

    @abstractmethod
    def _draw_int(
        self, name: str, lo: builtins.int | None, hi: builtins.int | None
    ) -> builtins.int: ...

    @abstractmethod
    def _draw_bool(self, name: str) -> builtins.bool: ...

    @abstractmethod
    def _draw_bytes(self, name: str, length: builtins.int) -> builtins.bytes: ...

    def _claim(self, name: str) -> None:
        if name in self.values:
            raise ContractBindingError(
                f"the harness draws {name!r} twice in one run",
                hint='Give every draw its own name, e.g. k.int(f"x{i}", 0, 9) in a loop.',
            )


class ConcreteDraws(Draws):
    """Draws that return given values: the replay of a counterexample."""

    def __init__(self, values: Mapping[str, Any], bound: builtins.int | None = None) -> None:
        super().__init__(bound)
        self._given = values

    def _value(self, name: str) -> Any:
        if name not in self._given:
            raise Discarded
        return self._given[name]

    def assume(self, condition: object) -> None:
        """Discard the run where ``condition`` does not hold."""
        if not condition:
            raise Discarded

    def _draw_int(
        self, name: str, lo: builtins.int | None, hi: builtins.int | None
    ) -> builtins.int:
        value: builtins.int = self._value(name)
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            raise Discarded
        return value

    def _draw_bool(self, name: str) -> builtins.bool:
        return builtins.bool(self._value(name))

    def _draw_bytes(self, name: str, length: builtins.int) -> builtins.bytes:
        value: builtins.bytes = self._value(name)
        if len(value) != length:
            raise Discarded
        return value


Harness = Callable[[Draws], object]


class Tally:
    """What the runs of one harness add up to.

    How many counted, whether any reached an assertion, over which domains, which goals.
    """

    def __init__(self) -> None:
        self.counted = 0
        self.asserted = False
        self.domains: dict[str, Domain] = {}
        self.covers: dict[str, int] = {}

    def note_domains(self, draws: Draws) -> None:
        """Widen the known domains by those of one run, discarded or not."""
        for name, domain in draws.domains.items():
            known = self.domains.get(name)
            self.domains[name] = domain if known is None else known.widened(domain)
        for name in draws.covers:
            self.covers.setdefault(name, 0)

    def note_counted(self, draws: Draws) -> None:
        """Count a run that met every assumption, and note whether it reached an assertion.

        Raises:
            AssertionError: one failed in it, and the code around it let it pass.
        """
        if TALLY.unheard:
            raise TALLY.unheard[0]
        self.counted += 1
        self.asserted = self.asserted or TALLY.reached
        for name, hits in draws.covers.items():
            self.covers[name] = self.covers.get(name, 0) + hits

    def uncovered(self) -> list[str]:
        """Return the cover goals that no counted run reached."""
        return [name for name, hits in self.covers.items() if not hits]

    def bounded(self) -> bool:
        """Tell whether any draw but a boolean ranged between two ends, or nothing was drawn."""
        domains = [domain for domain in self.domains.values() if domain.kind != "bool"]
        return not domains or any(
            domain.lo is not None and domain.hi is not None for domain in domains
        )

    def domain_text(self) -> str:
        """Return "for 0 ≤ n ≤ 8, …"; empty when nothing was drawn."""
        described = [domain.describe(name) for name, domain in self.domains.items()]
        shown, rest = described[:SHOWN_DOMAINS], len(described) - SHOWN_DOMAINS
        if rest > 0:
            shown.append(f"{rest} more draws")
        return f"for {', '.join(shown)}" if shown else ""
