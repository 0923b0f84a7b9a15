"""The kinds of tolerance: what ``≈`` measures, as contracts state it and formulas are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ToleranceKind = Literal["absolute", "relative", "ulp", "cosine", "noise"]


@dataclass(frozen=True, slots=True)
class Limit:
    """From which tolerance on one of a kind is ``loose``, though it may be meant, or ``empty``."""

    loose: float
    empty: float
    why: str
    """What nothing can miss, or what was probably meant."""


LIMITS: Mapping[ToleranceKind, Limit] = MappingProxyType(
    {
        "absolute": Limit(0.1, 1e30, "for numbers that large write a relative tolerance"),
        "relative": Limit(
            0.1, 1.0, "any two numbers of one sign are within 1 of each other; 0.01 is 1 %"
        ),
        "ulp": Limit(4096, 1 << 23, "a number and its double are 2^23 float32 apart, 2^52 float64"),
        "cosine": Limit(
            0.05, 0.5, "the tolerance is 1 − cosine: for a cosine of 0.999 write 0.001"
        ),
        "noise": Limit(
            64, 1 << 16, "the tolerance is a factor on the error of a plain evaluation, usually 4"
        ),
    }
)


def misses_nothing(tolerance: float | None, kind: ToleranceKind) -> str | None:
    """Return why a tolerance of a kind says nothing, None where it says something."""
    limit = LIMITS[kind]
    return limit.why if tolerance is not None and tolerance >= limit.empty else None
