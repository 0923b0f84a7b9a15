"""The kinds of tolerance: what ``≈`` measures, as contracts state it and formulas are judged."""

from __future__ import annotations

from typing import Literal

ToleranceKind = Literal["absolute", "relative", "ulp", "cosine", "noise"]
