"""Claims about the whole run: every claim of some contracts held, or ran, or is bound to code."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from pytest_contracts.binding import resolve
from pytest_contracts.contract.model import Claim, Contract, Equation
from pytest_contracts.contract.obligation_keys import OVER, REQUIRE
from pytest_contracts.contract.scope import implementation_names
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.items.case import effective_status
from pytest_contracts.items.claim_item import blocked_message
from pytest_contracts.items.gate import DecidedLast
from pytest_contracts.items.observation import is_unavailable
from pytest_contracts.items.project import Project
from pytest_contracts.ledger.gates import GateNotice


def over(claim: Claim) -> tuple[str, ...]:
    """Return the contracts that a claim of completeness is about; () for any other claim."""
    if getattr(claim, "type", None) != "completeness" or claim.formal or claim.run:
        return ()
    return OVER.of(claim)


def _unbound(contract: Contract, equation: Equation) -> Iterator[str]:
    """Yield what keeps an equation from being bound to code that exists.

    A module that says that this machine lacks what it needs is there.
    """
    label = f"{contract.name}::{equation.name}"
    if not implementation_names(contract, equation):
        yield f"{label} has no implementation"
    for name, target in equation.implementations.items():
        try:
            resolve(target)
        except ContractBindingError as error:
            yield f"{label}: {name}: {error.message}"
        except Exception as error:
            if not is_unavailable(error):
                raise


class CompletenessItem(DecidedLast):
    """A claim of type ``completeness`` with ``over:``.

    It counts the claims that the contracts state, not the items that happened to be selected, so
    that a part of a run is never complete.
    """

    kind = "obligation"

    def __init__(
        self, *, contract: Contract, claim: Claim, project: Project, **kwargs: Any
    ) -> None:
        super().__init__(contract=contract, where=claim.where, marker="obligation", **kwargs)
        self.claim = claim
        self.project = project

    def notice(self) -> GateNotice:
        """Return the demand with every claim, or equation, that it is about."""
        require = REQUIRE.of(self.claim)
        checks: dict[str, list[str]] = {}
        unmet: list[str] = []
        for pattern in over(self.claim):
            names = [name for name in self.project.contract_names if fnmatchcase(name, pattern)]
            if not names:
                unmet.append(f"no contract is called {pattern}")
            for name in names:
                known = self.project.contract(name)
                if known is None:
                    unmet.append(f"{name} cannot be loaded")
                elif require == "bound":
                    for equation in known.equations:
                        checks[f"{name}::{equation.name}"] = []
                        unmet += _unbound(known, equation)
                else:
                    checks.update(self._claims(known))
        status = effective_status(self.contract, self.claim)
        return self.described(
            checks,
            kind="obligation",
            require=require,
            status=status,
            blocked=blocked_message(self.contract, self.claim) if status == "BLOCKED" else "",
            unmet=tuple(dict.fromkeys(unmet)),
        )

    def _claims(self, contract: Contract) -> Iterator[tuple[str, list[str]]]:
        for claim in contract.claims:
            if effective_status(contract, claim) == "RETIRED" or over(claim):
                continue
            collected = self.project.collected.get((contract.name, claim.id), [])
            yield f"{contract.name}::{claim.id}", list(collected)
