"""What a symbolic check has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SymbolicVerdict = Literal["CONFIRMED", "FALSIFIED", "INCONCLUSIVE", "VACUOUS"]
Solver = Literal["enumerate", "crosshair"]

NOT_BUILT = {"strategy": ("stub_float", "compositional"), "solver": ("z3",)}
"""What a contract may name though no engine is built for it."""


def not_built(strategy: str, solver: str) -> str:
    """Return what a harness asks for that is not built yet, "" where all of it is."""
    asked = {"strategy": strategy, "solver": solver}
    missing = [f"{key} {name!r}" for key, name in asked.items() if name in NOT_BUILT[key]]
    return f"not built yet: {', '.join(missing)}" if missing else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolicResult:
    """The verdict on one harness, and on what it rests.

    ``assumptions`` reads as one sentence after the verdict ("CONFIRMED for 0 ≤ n ≤ 8, all 9 cases
    enumerated"); ``values`` are the counterexample's draws, Python objects, empty unless FALSIFIED;
    ``bounded`` is False where a path proof holds for integers of any size;
    ``reason`` says why the verdict is not CONFIRMED; ``traceback`` is where the harness failed on
    those values; ``paths`` counts cases or paths run; ``cpu_s`` is CPU seconds in the worker.
    """

    verdict: SymbolicVerdict
    assumptions: tuple[str, ...] = ()
    paths: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    cpu_s: float = 0.0
    solver: Solver | None = None
    covers: Mapping[str, int] = field(default_factory=dict)
    traceback: str = ""
    bounded: bool = True

    def __str__(self) -> str:
        parts = [self.verdict, ", ".join(self.assumptions)]
        text = " ".join(part for part in parts if part)
        if self.values:
            text += " with " + ", ".join(
                f"{name} = {value!r}" for name, value in self.values.items()
            )
        return f"{text}: {self.reason}" if self.reason else text
