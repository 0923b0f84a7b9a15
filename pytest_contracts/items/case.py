"""One item to be: a claim, for one implementation and one set of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract.model import Claim, Contract, Equation, Harness, Status, Variable
from pytest_contracts.contract.obligation_keys import TO
from pytest_contracts.contract.scope import concerned, implementation_names, variables_of
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.items.names import Names
from pytest_contracts.items.observation import Observation
from pytest_contracts.items.parameters import ParameterSet
from pytest_contracts.items.project import Project
from pytest_contracts.options import Options
from pytest_contracts.where import Where


@dataclass(frozen=True)
class Case:
    """A claim, for one implementation and one set of parameters."""

    contract: Contract
    claim: Claim
    implementation: str | None
    parameters: ParameterSet
    nodeid: str
    config: pytest.Config
    project: Project
    names: Names
    observation: Observation = field(default_factory=Observation)
    error: BaseException | None = None
    """What is wrong with the clause itself, so that nothing can run."""
    prepare: list[Callable[[], None]] = field(default_factory=list)
    """What to do once before the item's first example, where a failure is the clause's fault."""

    @property
    def name(self) -> str:
        """The item's name: ``FALSIFY-SM-001[cpu-tiny-3]``."""
        return item_name(self.claim, self.implementation, self.parameters)

    @property
    def entry(self) -> dict[str, Any]:
        """What the ledger knows of the item before it runs, in the words of a record."""
        claim = self.claim
        return {
            "nodeid": self.nodeid,
            "contract": self.contract.name,
            "claim": claim.id,
            "kind": claim.kind,
            "implementation": self.implementation,
            "parameters": dict(self.parameters.labels),
            "where": place(claim.where, self.config.rootpath),
            "status": effective_status(self.contract, claim),
            "obligation": claim.obligation if isinstance(claim, Harness) else None,
        }

    @property
    def options(self) -> Options:
        """What the run was asked."""
        return self.project.options

    def variables(self, equations: Iterable[Equation]) -> dict[str, Variable]:
        """Return the variables that the claim may draw; parameters hide them."""
        found = variables_of(self.contract, self.claim, equations)
        return {k: v for k, v in found.items() if k not in self.parameters.values}


def effective_status(contract: Contract, claim: Claim) -> Status:
    """Return the claim's own status unless it is plain ACTIVE, else its contract's."""
    return claim.status if claim.status != "ACTIVE" else contract.metadata.status


def place(where: Where, root: Path) -> str:
    """Return ``path:line:column`` relative to the project's root where possible."""
    path = where.path.relative_to(root) if where.path.is_relative_to(root) else where.path
    return f"{path.as_posix()}:{where.line}:{where.column}"


def item_name(claim: Claim, implementation: str | None, parameters: ParameterSet) -> str:
    """Return an item's name: the claim's id, then implementation and parameters in brackets."""
    words = [implementation] if implementation is not None else []
    words += parameters.labels.values()
    return f"{claim.id}[{'-'.join(words)}]" if words else claim.id


def implementations_under_test(
    contract: Contract, claim: Claim, mentioned: frozenset[str]
) -> tuple[str | None, ...]:
    """Return the implementations a claim applies to; ``(None,)`` where nothing is bound."""
    names: dict[str, None] = {}
    for equation in concerned(contract, claim, mentioned):
        names.update(dict.fromkeys(implementation_names(contract, equation)))
    if "all" in claim.applies_to:
        names.pop(TO.of(claim) or "", None)  # what the others are compared with
        return tuple(names) or (None,)
    for name in claim.applies_to:
        if name not in names:
            raise ContractBindingError(
                f"applies_to names {name!r}, which is no implementation of the claim's equation",
                where=claim.where,
                hint=f"Implementations: {', '.join(names) or 'none'}.",
            )
    return tuple(name for name in names if name in claim.applies_to)
