"""The names that plugins and conftest files give to the contracts of a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pluggy
import pytest

from pytest_contracts.contract.model import Variable
from pytest_contracts.domains.strategies import Domain, parse_domain
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where

_HOOKS = (
    "pytest_contracts_strategies",
    "pytest_contracts_vocabularies",
    "pytest_contracts_parameters",
    "pytest_contracts_resources",
)

Givers = tuple[tuple[pluggy.HookImpl, ...], ...]


def givers(relay: pluggy.HookRelay) -> Givers:
    """Return who answers the hooks that give names, as seen from one folder."""
    return tuple(tuple(getattr(relay, hook).get_hookimpls()) for hook in _HOOKS)


class Names:
    """The merged answers to this plugin's hooks, as seen from one folder.

    The conftest.py of a folder speaks to the contracts in and below it, and to no others; which
    file is collected first makes no difference. Everything is asked for once, and only when needed.
    """

    def __init__(self, relay: pluggy.HookRelay, config: pytest.Config) -> None:
        self._relay = relay
        self._config = config
        self._domains: dict[int, tuple[Variable, Domain]] = {}

    @cached_property
    def strategies(self) -> Mapping[str, Callable[..., Any]]:
        """Named strategies."""
        return self._merged("pytest_contracts_strategies")

    @cached_property
    def vocabularies(self) -> Mapping[str, Callable[..., int]]:
        """Named vocabularies."""
        return self._merged("pytest_contracts_vocabularies")

    @cached_property
    def parameters(self) -> Mapping[str, Callable[..., Sequence[Any]]]:
        """Functions that ``parametrize`` strings may call."""
        return self._merged("pytest_contracts_parameters")

    @cached_property
    def resources(self) -> Mapping[str, Callable[[], None]]:
        """What ``requires`` may list."""
        return self._merged("pytest_contracts_resources")

    def domain(self, variable: Variable) -> Domain:
        """Return what a variable stands for, read once for all claims about its equation."""
        known = self._domains.get(id(variable))
        if known is None:
            # The variable is kept, so that no other one gets its id.
            known = variable, parse_domain(variable, self.strategies, self.vocabularies)
            self._domains[id(variable)] = known
        return known[1]

    def resource(self, name: str, where: Where) -> Callable[[], None]:
        """Return the function behind a name in ``requires``; it raises where that is missing.

        Raises:
            ContractBindingError: no plugin knows the name.
        """
        if name not in self.resources:
            raise unknown("resource", name, self.resources, where, "pytest_contracts_resources")
        return self.resources[name]

    def _merged(self, hook: str) -> dict[str, Callable[..., Any]]:
        merged: dict[str, Callable[..., Any]] = {}
        for answer in getattr(self._relay, hook)(config=self._config):
            for name, function in answer.items():
                if merged.setdefault(name, function) is not function:
                    raise ContractBindingError(f"two plugins give {name!r} through {hook}")
        return merged


def unknown(
    what: str, name: str, known: Mapping[str, object], where: Where | None, hook: str
) -> ContractBindingError:
    """Return the error for a name that no plugin provides."""
    listed = ", ".join(sorted(known)) or "none"
    hint = did_you_mean(name, known) or f"Known: {listed}. The hook {hook} adds more."
    return ContractBindingError(f"no {what} is called {name!r}", where=where, hint=hint)
