"""What a comparison found, and what is reported of a claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pytest_contracts.formula.tree import Comparator, Compare, Expr
from pytest_contracts.formula.writing.unicode import render_unicode
from pytest_contracts.tolerance import ToleranceKind

Truth: TypeAlias = "bool | None"
Pair: TypeAlias = tuple[Expr, Comparator, Expr]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a claim.

    ``compared`` counts elements; zero means that no guard was met, or nothing was there. The other
    fields describe the comparison that decided: its text, both sides at the worst element
    ``index``, their distance ``error``, the formula with its values, and why, if there is more to
    say. ``ill_conditioned`` counts elements set aside under the tolerance kind ``noise``;
    ``parts`` are the parts of conjunctions by identity, with how many elements each looked at.
    """

    holds: bool
    compared: int
    comparison: str
    left: Any = None
    right: Any = None
    error: float | None = None
    index: tuple[int, ...] | None = None
    substituted: str = ""
    tolerance: float | None = None
    tolerance_kind: ToleranceKind = "absolute"
    ill_conditioned: int = 0
    reason: str = ""
    parts: Mapping[int, tuple[Expr, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.holds


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison gave; its text is rendered only when it is reported."""

    truth: Truth
    claim: Expr | Pair
    left: Any = None
    right: Any = None
    error: float | None = None
    index: tuple[int, ...] | None = None
    reason: str = ""
    bound: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The comparison as it is written."""
        if isinstance(self.claim, Expr):
            return render_unicode(self.claim)
        left, operator, right = self.claim
        return render_unicode(Compare(left, ((operator, right),)))
