"""The kinds of tolerance: what ``≈`` measures, as contracts state it and formulas are judged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

ToleranceKind = Literal["absolute", "relative", "ulp", "cosine", "noise"]

LIMITS: Mapping[ToleranceKind, tuple[float, str]] = MappingProxyType(
    {
        "relative": (1.0, "any two numbers of one sign are within 1 of each other; 0.01 is 1 %"),
        "cosine": (0.5, "the tolerance is 1 − cosine: for a cosine of 0.999 write 0.001"),
    }
)
"""From which tolerance on nothing can miss it, and what was probably meant."""


def misses_nothing(tolerance: float | None, kind: ToleranceKind) -> str | None:
    """Return why a tolerance of a kind says nothing, None where it says something."""
    limit, why = LIMITS.get(kind, (float("inf"), ""))
    return why if tolerance is not None and tolerance >= limit else None
