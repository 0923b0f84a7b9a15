"""What a run knows of the project: the names that its plugins add, its contracts, its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import Contract, Where, find_contracts, load
from pytest_contracts.contract.loading import absent_dependencies
from pytest_contracts.contract.model import Remark, Variable
from pytest_contracts.domains.strategies import Domain, parse_domain
from pytest_contracts.errors import ContractBindingError, ContractError, ContractSyntaxError
from pytest_contracts.ledger.evidence import EvidenceError, EvidenceStore
from pytest_contracts.ledger.sources import SourceTree
from pytest_contracts.options import Options
from pytest_contracts.suggesting import did_you_mean


class Project:
    """The merged answers to this plugin's hooks, and the files beside the contracts.

    Everything is asked for once, and only when needed.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.options = Options.of(config)
        self._domains: dict[int, tuple[Variable, Domain]] = {}
        self._loaded: dict[str, Contract | None] = {}
        self.collected: dict[tuple[str, str], list[str]] = {}
        """Contract and claim, and the node ids of its items, whether or not they are selected."""
        self.read: set[Path] = set()
        """The contract files that were collected, the ones at fault included."""

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

    @cached_property
    def sources(self) -> SourceTree:
        """The files of the project."""
        return SourceTree(self._config.rootpath)

    @cached_property
    def evidence(self) -> EvidenceStore:
        """What held on other machines."""
        return EvidenceStore(self.options.evidence_folders)

    def domain(self, variable: Variable) -> Domain:
        """Return what a variable stands for, read once for all claims about its equation."""
        known = self._domains.get(id(variable))
        if known is None:
            # The variable is kept, so that no other one gets its id.
            known = variable, parse_domain(variable, self.strategies, self.vocabularies)
            self._domains[id(variable)] = known
        return known[1]

    def check_evidence(self) -> None:
        """Read the evidence now; UsageError where a file of it is damaged."""
        try:
            _ = self.evidence
        except EvidenceError as error:
            raise pytest.UsageError(str(error)) from None

    def resource(self, name: str, where: Where) -> Callable[[], None]:
        """Return the function behind a name in ``requires``; it raises where that is missing.

        Raises:
            ContractBindingError: no plugin knows the name.
        """
        if name not in self.resources:
            raise unknown("resource", name, self.resources, where, "pytest_contracts_resources")
        return self.resources[name]

    def check_dependencies(self, contract: Contract) -> list[Remark]:
        """Check that a contract depends on existing ones; other files are read only if need be.

        A cycle is reported once, by its contract whose name comes first. A wild contract may
        depend on absent ones; they are returned.

        Raises:
            ContractSyntaxError: a dependency is missing, or leads back to the contract.
        """
        known = {contract.name: contract}
        waiting = [contract]
        while waiting:
            for name in waiting.pop().metadata.depends_on:
                if name not in known and (found := self.contract(name)) is not None:
                    known[name] = found
                    waiting.append(found)
        remarks = list(absent_dependencies(contract, {**self._contract_files, **known}))
        cycle = _cycle(contract.name, known)
        if cycle and min(cycle) == contract.name:
            raise ContractSyntaxError(
                f"cyclic depends_on: {' → '.join(cycle)}",
                where=contract.dependency_where(cycle[1]),
            )
        return remarks

    @cached_property
    def _paths(self) -> Mapping[Path, None]:
        """The contract files that exist; a file may lie below two directories."""
        # The configured directories say what exists, --contracts which part of it is judged.
        folders = dict.fromkeys((*self.options.directories, *self.options.configured))
        return {path.resolve(): None for folder in folders for path in find_contracts(folder)}

    @cached_property
    def _contract_files(self) -> Mapping[str, Path]:
        found: dict[str, Path] = {}
        for path in self._paths:
            found.setdefault(path.stem, path)
        return found

    @property
    def narrowed(self) -> bool:
        """Whether this run leaves out contracts, implementations or parameters that exist."""
        part = self.options.backend or self.options.model
        return bool(part) or not self._paths.keys() <= self.read

    @property
    def contract_names(self) -> Iterable[str]:
        """The names of all contracts that exist, whether or not they are judged."""
        return self._contract_files

    def contract(self, name: str) -> Contract | None:
        """Return another contract, None where there is none or it cannot be loaded."""
        if name not in self._loaded:
            try:
                self._loaded[name] = load(self._contract_files[name])
            except (KeyError, ContractError):  # the file's own collection says what is wrong
                self._loaded[name] = None
        return self._loaded[name]

    def _merged(self, hook: str) -> dict[str, Callable[..., Any]]:
        merged: dict[str, Callable[..., Any]] = {}
        for answer in getattr(self._config.hook, hook)(config=self._config):
            for name, function in answer.items():
                if merged.setdefault(name, function) is not function:
                    raise ContractBindingError(f"two plugins give {name!r} through {hook}")
        return merged


def _cycle(name: str, contracts: Mapping[str, Contract]) -> list[str]:
    """Return the shortest way along dependencies from a contract back to itself, [] for none."""
    ways = [[name]]
    seen: set[str] = set()
    for way in ways:
        known = contracts.get(way[-1])
        for need in () if known is None else known.metadata.depends_on:
            if need == name:
                return [*way, name]
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []


def unknown(
    what: str, name: str, known: Mapping[str, object], where: Where | None, hook: str
) -> ContractBindingError:
    """Return the error for a name that no plugin provides."""
    listed = ", ".join(sorted(known)) or "none"
    hint = did_you_mean(name, known) or f"Known: {listed}. The hook {hook} adds more."
    return ContractBindingError(f"no {what} is called {name!r}", where=where, hint=hint)
