"""What a run knows of the project: its contracts, its evidence, the names that plugins add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pluggy
import pytest

from pytest_contracts.contract import Contract, find_contracts, load
from pytest_contracts.contract.loading import absent_dependencies
from pytest_contracts.contract.model import Remark
from pytest_contracts.errors import ContractError, ContractSyntaxError
from pytest_contracts.items.names import Givers, Names, givers
from pytest_contracts.ledger.evidence import EvidenceError, EvidenceStore
from pytest_contracts.ledger.sources import SourceTree
from pytest_contracts.options import Options
from pytest_contracts.report.collected import Collected


class Project:
    """The files of the project, read once and only when needed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.options = Options.of(config)
        self._names: dict[Givers, Names] = {}
        self._loaded: dict[str, Contract | None] = {}
        self._concerned: dict[Path, list[ModuleType]] = {}
        self.collected: dict[tuple[str, str], list[str]] = {}
        """Contract and claim, and the node ids of its items, whether or not they are selected."""
        self.read: set[Path] = set()
        """The contract files that were collected, the ones at fault included."""

    def names(self, relay: pluggy.HookRelay) -> Names:
        """Return what the plugins and conftest files that one folder sees have given names to."""
        who = givers(relay)
        if who not in self._names:
            self._names[who] = Names(relay, self._config)
        return self._names[who]

    @cached_property
    def sources(self) -> SourceTree:
        """The files of the project, those as they were that this run has opened."""
        return SourceTree(self._config.rootpath, Collected.of(self._config).opened)

    def plugins(self, contract: Path) -> list[ModuleType]:
        """Return the project's own plugins that may have a say in a contract's items.

        They are the conftests of its folder and above, and all that implement a hook of ours.
        """
        if contract not in self._concerned:
            concerned = [module for module in self._modules if _concerns(module, contract)]
            self._concerned[contract] = concerned
        return self._concerned[contract]

    @cached_property
    def _modules(self) -> list[ModuleType]:
        plugins = self._config.pluginmanager.get_plugins()
        return [plugin for plugin in plugins if getattr(plugin, "__file__", None) is not None]

    @cached_property
    def evidence(self) -> EvidenceStore:
        """What held on other machines."""
        return EvidenceStore(self.options.evidence_folders)

    def check_evidence(self) -> None:
        """Read the evidence now; UsageError where a file of it is damaged."""
        try:
            _ = self.evidence
        except EvidenceError as error:
            raise pytest.UsageError(str(error)) from None

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
    def uncollected(self) -> Iterable[Path]:
        """The contract files of this run's directories that it has not read."""
        folders = self.options.directories
        left = self._paths.keys() - self.read
        return (path for path in left if any(path.is_relative_to(folder) for folder in folders))

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


def _concerns(module: ModuleType, contract: Path) -> bool:
    path = Path(module.__file__ or "")
    if path.name == "conftest.py" and contract.is_relative_to(path.parent):
        return True
    return any(name.startswith("pytest_contracts_") for name in vars(module))


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
