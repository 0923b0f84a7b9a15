"""What each obligation type claims where neither ``formal`` nor ``run`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_contracts.items.obligations import algebra, conservation, declared, order, runs
from pytest_contracts.items.obligations.clause import Clause, Template
from pytest_contracts.items.obligations.enough import says_enough

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "equivalence": declared.equivalence,
        "bound": declared.bound,
        "idempotency": algebra.idempotency,
        "involution": algebra.involution,
        "roundtrip": algebra.roundtrip,
        "linearity": algebra.linearity,
        "additivity": algebra.additivity,
        "homogeneity": algebra.homogeneity,
        "symmetry": algebra.commutativity,
        "commutativity": algebra.commutativity,
        "associativity": algebra.associativity,
        "monotonicity": order.monotonicity,
        "ordering": order.ordering,
        "conservation": conservation.conservation,
        "determinism": runs.determinism,
        "frame": runs.frame,
    }
)

_ABOUT_ONE = ("idempotency", "involution", "linearity", "additivity", "homogeneity")
KEYS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(_ABOUT_ONE, frozenset({"argument"})),
        "roundtrip": frozenset({"argument", "inverse"}),
        "monotonicity": frozenset({"argument", "direction"}),
        "ordering": frozenset({"argument", "direction"}),
        "conservation": frozenset({"argument", "measure"}),
        "equivalence": frozenset({"to"}),
        "determinism": frozenset({"threads"}),
        "frame": frozenset({"modifies", "state"}),
        "completeness": frozenset({"over", "require"}),
    }
)
"""The keys of a claim that the template of its type reads."""

__all__ = ["KEYS", "TEMPLATES", "Clause", "Template", "says_enough"]
