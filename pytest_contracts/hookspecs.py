"""The hooks by which a project gives meaning to the names in its contracts.

All are called once per collection; the mappings of several implementations are merged, and a name
that two of them give is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def pytest_contracts_strategies(
    config: pytest.Config,
) -> Mapping[str, Callable[..., SearchStrategy[Any]]]:
    """Return named strategies for ``variables: {x: {strategy: name, ...}}``.

    Each value is called with the remaining keys of the domain as keyword arguments and returns a
    Hypothesis strategy. A bare ``x: name`` calls it without arguments.
    """
    raise NotImplementedError


def pytest_contracts_vocabularies(
    config: pytest.Config,
) -> Mapping[str, Callable[[Mapping[str, Any]], int]]:
    """Return the vocabularies that ``variables: {ids: {tokens: model}}`` may name.

    Each value is called with what has been chosen before the draw (the item's parameters, the
    contract's constants, other variables) and returns the number of tokens; token ids are drawn
    below it. It may raise ``Unavailable``.
    """
    raise NotImplementedError


def pytest_contracts_parameters(
    config: pytest.Config,
) -> Mapping[str, Callable[..., Sequence[Any]]]:
    """Return the functions that ``parametrize: {layer: "layers(model)"}`` may call.

    They run at collection, left to right, and return the values of one parameter; an
    ``Unavailable`` among the values, or raised, becomes one skipped item.
    """
    raise NotImplementedError


def pytest_contracts_resources(config: pytest.Config) -> Mapping[str, Callable[[], None]]:
    """Return the names that ``requires:`` may list.

    Each value is called before the item runs and raises ``Unavailable`` where the resource is
    missing.
    """
    raise NotImplementedError


@pytest.hookspec(firstresult=True)
def pytest_contracts_device(config: pytest.Config) -> str | None:
    """Return the name of the device that claims run on here, such as a GPU's; None for none.

    Called once, after the run. The ledger records it, and evidence taken from the ledger names it.
    """
    raise NotImplementedError
