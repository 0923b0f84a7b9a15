"""The types of proof obligations: one row a type.

The derived ids, the schema's enumeration, the reference page and the check of unread keys go by the
rows. What a template *does* is attached to its row by name in ``items/obligations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from pytest_contracts.contract.obligation_keys import (
    ARGUMENT,
    DIRECTION,
    INVERSE,
    MEASURE,
    MODIFIES,
    OVER,
    REQUIRE,
    STATE,
    THREADS,
    TO,
    Key,
)


class Judge(Enum):
    """Who judges a claim that has neither ``formal`` nor ``run``."""

    TEMPLATE = "the template of its type"
    WHOLE_RUN = "the verdicts of the whole run"
    NOBODY = "nobody: the claim is prose"


@dataclass(frozen=True)
class ObligationType:
    """One type; ``code`` stands in derived ids, ``claims`` (Markdown) on the reference page.

    In ``claims`` f is the equation under test, x its argument.
    """

    name: str
    code: str
    claims: str
    keys: tuple[Key[Any], ...] = ()
    judge: Judge = Judge.TEMPLATE

    def ident(self, prefix: str, number: int) -> str:
        """Return the id of the type's ``number``-th claim that has none: ``SM-INV-001``."""
        return f"{prefix}-{self.code}-{number:03d}"

    @property
    def key_names(self) -> frozenset[str]:
        """The names of the keys that claims of this type may have."""
        return frozenset(key.name for key in self.keys)


def _stated(name: str, code: str, claims: str) -> ObligationType:
    """Return a type whose claims say everything themselves."""
    return ObligationType(name, code, claims, judge=Judge.NOBODY)


_ROWS = (
    _stated("invariant", "INV", "a property that f has for every valid input"),
    ObligationType(
        "equivalence",
        "EQV",
        "f(x) ≈ definition(x), or ≈ the implementation that `to` names",
        (TO,),
    ),
    ObligationType("bound", "BND", "f(x) lies in the equation's `codomain`"),
    ObligationType(
        "monotonicity",
        "MON",
        "x ≤ x2 ⟹ f(x) ≤ f(x2) for numbers; x_i ≤ x_j ⟹ f(x)_i ≤ f(x)_j for vectors",
        (ARGUMENT, DIRECTION),
    ),
    ObligationType("idempotency", "IDM", "f(f(x)) ≈ f(x)", (ARGUMENT,)),
    ObligationType("involution", "IVL", "f(f(x)) ≈ x", (ARGUMENT,)),
    ObligationType(
        "roundtrip",
        "RTP",
        "g(f(x)) ≈ x; an equation's further parameters are taken by name, "
        "a function gets f(x) alone",
        (ARGUMENT, INVERSE),
    ),
    ObligationType("linearity", "LIN", "f(α·x + β·x2) ≈ α·f(x) + β·f(x2)", (ARGUMENT,)),
    ObligationType("additivity", "ADD", "f(x + x2) ≈ f(x) + f(x2)", (ARGUMENT,)),
    ObligationType("homogeneity", "HOM", "f(α·x) ≈ α·f(x)", (ARGUMENT,)),
    ObligationType("symmetry", "SYM", "f(x, y) ≈ f(y, x), both from one domain"),
    ObligationType("associativity", "ASC", "f(f(x, y), z) ≈ f(x, f(y, z)), all from one domain"),
    ObligationType("commutativity", "COM", "f(x, y) ≈ f(y, x), both from one domain"),
    ObligationType(
        "ordering",
        "ORD",
        "ranks(f(x)) = ranks(x): different elements stay different and in order, equal ones equal",
        (ARGUMENT, DIRECTION),
    ),
    ObligationType("conservation", "CON", "m(f(x)) ≈ m(x)", (ARGUMENT, MEASURE)),
    ObligationType(
        "determinism",
        "DET",
        "two runs on one input give the same bits, and so does each number of `threads`",
        (THREADS,),
    ),
    ObligationType(
        "frame",
        "FRM",
        "arguments and `state` have the same bits before and after a call, "
        "except what `modifies` names",
        (MODIFIES, STATE),
    ),
    ObligationType(
        "completeness",
        "CMP",
        "every claim of the contracts that `over` names held; "
        "without `over` it needs `formal` or `run`",
        (OVER, REQUIRE),
        Judge.WHOLE_RUN,
    ),
    _stated("soundness", "SND", "what f accepts, or concludes, is right"),
    _stated("precondition", "PRE", "what must be true of the inputs"),
    _stated("postcondition", "PST", "what is true of the result"),
    _stated("safety", "SAF", "something bad never happens"),
    _stated("liveness", "LIV", "something good happens in the end"),
)

TYPES: Mapping[str, ObligationType] = MappingProxyType({row.name: row for row in _ROWS})
"""Every type by its name."""
