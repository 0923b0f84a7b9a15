"""A contract file as a pytest collector."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest._code.code import ExceptionInfo, TerminalRepr

from pytest_contracts.contract import Where, load
from pytest_contracts.contract.loading import refuse_silence, warn
from pytest_contracts.contract.model import Claim, Contract, Remark
from pytest_contracts.contract.unread import refuse_unread
from pytest_contracts.errors import ContractError, ContractSyntaxError, ContractWarning, Unavailable
from pytest_contracts.items.case import (
    Case,
    effective_status,
    implementations_under_test,
    item_name,
)
from pytest_contracts.items.claim_item import ContractItem
from pytest_contracts.items.completeness import CompletenessItem, over
from pytest_contracts.items.falsification import falsification_test
from pytest_contracts.items.formula_claim import formal_of
from pytest_contracts.items.gate import DecidedLast, GateItem
from pytest_contracts.items.harness import harness_test
from pytest_contracts.items.obligation import obligation_test
from pytest_contracts.items.observation import Prose
from pytest_contracts.items.parameters import ParameterSet, parameter_sets
from pytest_contracts.items.procedures import parameter_names, procedure
from pytest_contracts.items.project import Project
from pytest_contracts.items.properties import as_failure
from pytest_contracts.report.collected import Collected
from pytest_contracts.report.failure import failure_repr
from pytest_contracts.report.paths import relative

BUILDERS: dict[str, Callable[[Case], Callable[..., None]]] = {
    "obligation": obligation_test,
    "falsification": falsification_test,
    "harness": harness_test,
}


class ContractFile(pytest.Module):
    """Collects one contract: its claims in file order, its gate last.

    A Module, as pytest's own text files with doctests are, so that fixtures of module scope work.
    """

    obj = None

    def __init__(self, *, project: Project, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.names = project.names(self.ihook)

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the contract's items.

        Raises:
            CollectError: the file is no contract, depends on one that is not in the contract
                directories or on itself, or two items have one node id.
        """
        self.project.read.add(self.path.resolve())
        try:
            contract = load(self.path, self.project.options.binding_files)
            for remark in self.project.check_dependencies(contract):
                _warn(remark)
            refuse_silence(contract)
        except ContractError as error:
            raise self.CollectError(error) from None
        items = list(self._items(contract))
        self._refuse_duplicates(items)
        Collected.of(self.config).entries.update((item.nodeid, item.entry) for item in items)
        yield from items

    def repr_failure(
        self, excinfo: ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """Return what is wrong with the file, its place first, no stack."""
        error = excinfo.value.args[0] if isinstance(excinfo.value, self.CollectError) else None
        if not isinstance(error, ContractError):
            return super().repr_failure(excinfo)
        where = error.where or Where(self.path, 1)
        shown = Where(relative(where.path, self.config), where.line, where.column)
        return failure_repr(shown, error.message, textwrap.indent(error.hint or "", "  "))

    def _items(self, contract: Contract) -> Iterator[ContractItem | DecidedLast]:
        by_claim: dict[str, list[str]] = {}
        for claim in contract.claims:
            if effective_status(contract, claim) == "RETIRED":
                Collected.of(self.config).retired[contract.name, claim.id] = None
                continue
            collected = by_claim.setdefault(claim.id, [])
            self.project.collected[contract.name, claim.id] = collected
            for item in self._claim_items(contract, claim):
                collected.append(item.nodeid)
                yield item
        gate = contract.qa_gate
        if gate is not None and any(by_claim.values()):
            yield GateItem.from_parent(
                self, name=gate.id, contract=contract, gate=gate, by_claim=by_claim
            )

    def _claim_items(
        self, contract: Contract, claim: Claim
    ) -> Iterator[ContractItem | CompletenessItem]:
        """Yield a claim's items; one alone where the clause itself is at fault."""
        if over(claim):
            yield CompletenessItem.from_parent(
                self, name=claim.id, contract=contract, claim=claim, project=self.project
            )
            return
        try:
            if claim.prose is not None:
                raise Prose(claim.prose)
            refuse_unread(contract, claim)
            for name in claim.requires:
                self.names.resource(name, claim.where)
            implementations = self._chosen(contract, claim, self._implementations(contract, claim))
            sets = parameter_sets(claim, self.names.parameters)
            cases = [self._case(contract, claim, i, s) for i in implementations for s in sets]
            built = [(case, self._test(case)) for case in cases]
        except (ContractError, Prose, Unavailable, pytest.skip.Exception) as error:
            # A skip is of the claim whose procedure cannot be imported here, not of the file's.
            if isinstance(error, ContractError) and error.where is None:
                error.where = claim.where
            broken = self._case(contract, claim, None, ParameterSet(), error)
            built = [(broken, as_failure(error))]
        for case, test in built:
            item: ContractItem = ContractItem.from_parent(
                self, name=case.name, callobj=test, case=case
            )
            yield item

    def _implementations(self, contract: Contract, claim: Claim) -> tuple[str | None, ...]:
        if claim.kind == "harness":
            return (None,)
        if claim.run is not None:
            if "implementation" in parameter_names(procedure(contract, claim, self.config)):
                return implementations_under_test(contract, claim, frozenset())
            return (None,)
        formula = formal_of(claim)
        mentioned = formula.names if formula is not None else frozenset()
        return implementations_under_test(contract, claim, mentioned)

    def _chosen(
        self, contract: Contract, claim: Claim, implementations: tuple[str | None, ...]
    ) -> tuple[str | None, ...]:
        """Keep what ``--contracts-backend`` asks for, and claims that concern no implementation."""
        wanted = (None, self.project.options.backend or None)
        if wanted == (None, None):
            return implementations
        for name in implementations:
            if name not in wanted:  # left out as much as what -k leaves out
                left = self._case(contract, claim, name, ParameterSet())
                Collected.of(self.config).entries[left.nodeid] = left.entry
        return tuple(name for name in implementations if name in wanted)

    def _case(
        self,
        contract: Contract,
        claim: Claim,
        implementation: str | None,
        parameters: ParameterSet,
        error: BaseException | None = None,
    ) -> Case:
        return Case(
            contract=contract,
            claim=claim,
            implementation=implementation,
            parameters=parameters,
            nodeid=f"{self.nodeid}::{item_name(claim, implementation, parameters)}",
            config=self.config,
            project=self.project,
            names=self.names,
            error=error,
        )

    def _test(self, case: Case) -> Callable[..., None]:
        missing = case.parameters.unavailable
        return BUILDERS[case.claim.kind](case) if missing is None else as_failure(missing)

    def _refuse_duplicates(self, items: list[ContractItem | DecidedLast]) -> None:
        seen: dict[str, ContractItem | DecidedLast] = {}
        for item in items:
            first = seen.setdefault(item.nodeid, item)
            if first is not item:
                raise self.CollectError(
                    ContractSyntaxError(
                        f"duplicate item {item.name!r}; the first is at line {_where(first).line}",
                        where=_where(item),
                    )
                )


def _warn(remark: Remark) -> None:
    try:
        warn(remark)
    except ContractWarning:  # the run makes errors of warnings
        raise ContractSyntaxError(remark.message, where=remark.where) from None


def _where(item: ContractItem | DecidedLast) -> Where:
    return item.claim.where if isinstance(item, ContractItem) else item.where
