"""Contracts of another tool-chain, ``pv`` of provable-contracts, loaded as they are.

``is_wild`` tells them apart, ``adapt`` turns their nodes into the typed model, ``bind`` gives their
names a meaning. Everything else of the plugin sees an ordinary contract: what can run has a strict
formula, what cannot carries the reason in ``Claim.prose``.
"""

from __future__ import annotations

from pytest_contracts.contract.wild.adapter import adapt
from pytest_contracts.contract.wild.binding import bind
from pytest_contracts.contract.wild.dialect import is_wild
from pytest_contracts.contract.wild.registry import Entry, is_registry, load_bindings

__all__ = ["Entry", "adapt", "bind", "is_registry", "is_wild", "load_bindings"]
