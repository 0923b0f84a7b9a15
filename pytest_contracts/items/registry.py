"""The names that plugins and conftest files add: strategies, parameters, resources."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pytest

from pytest_contracts.contract.where import Where
from pytest_contracts.errors import ContractBindingError


class Registry:
    """The merged answers to this plugin's hooks, asked for once and only when needed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @cached_property
    def strategies(self) -> Mapping[str, Callable[..., Any]]:
        """Named strategies."""
        return self._merged("pytest_contracts_strategies")

    @cached_property
    def parameters(self) -> Mapping[str, Callable[..., Sequence[Any]]]:
        """Functions that ``parametrize`` strings may call."""
        return self._merged("pytest_contracts_parameters")

    @cached_property
    def resources(self) -> Mapping[str, Callable[[], None]]:
        """What ``requires`` may list."""
        return self._merged("pytest_contracts_resources")

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
        for answer in getattr(self._config.hook, hook)(config=self._config):
            for name, function in answer.items():
                if merged.setdefault(name, function) is not function:
                    raise ContractBindingError(f"two plugins give {name!r} through {hook}")
        return merged


def unknown(
    what: str, name: str, known: Mapping[str, object], where: Where | None, hook: str
) -> ContractBindingError:
    """Return the error for a name that no plugin provides."""
    close = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(sorted(known)) or "none"
    hint = f"Known: {listed}. The hook {hook} adds more."
    if close:
        hint = f"Did you mean {close[0]!r}?"
    return ContractBindingError(f"no {what} is called {name!r}", where=where, hint=hint)
