"""``regressions:`` of a claim: inputs that broke it once, run before any that is drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_contracts.contract.model import Regression
from pytest_contracts.domains.strategies import Domain, ordered
from pytest_contracts.errors import ContractError, ContractSyntaxError
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where


@dataclass(frozen=True)
class Recorded:
    """The inputs of one regression, as the domains would have drawn them, and its place."""

    inputs: Mapping[str, Any]
    where: Where


def recorded(
    regressions: Sequence[Regression],
    domains: Sequence[Domain],
    given: Mapping[str, Any],
    known: Collection[str],
) -> Iterator[Recorded]:
    """Yield the inputs of every regression; ``known`` may be given although nothing needs them.

    Raises:
        ContractSyntaxError: a value is missing, belongs to no variable, or does not fit its domain.
    """
    in_order = ordered({domain.name: domain for domain in domains}, set(given))
    for regression in regressions:
        check_names(regression, known)
        for domain in in_order:
            if domain.name not in regression.values:
                names = ", ".join(domain.name for domain in in_order)
                raise ContractSyntaxError(
                    f"regression: it lacks {domain.name!r}",
                    where=regression.where,
                    hint=f"It gives every variable that is drawn: {names}.",
                )
        yield Recorded(accepted(regression, in_order, given), regression.where)


def accepted(
    regression: Regression, in_order: Sequence[Domain], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of a regression that can be checked, as the domains would have drawn them.

    Raises:
        ContractSyntaxError: a value does not fit its domain.
    """
    found: dict[str, Any] = {}
    environment = dict(given)
    for domain in in_order:
        if domain.name not in regression.values or domain.needs - environment.keys():
            continue
        try:
            value = domain.accept(regression.values[domain.name], environment)
        except ContractError as error:
            where = regression.places[domain.name]
            raise ContractSyntaxError(
                f"regression: {domain.name}: {error.message}", where=where
            ) from None
        found[domain.name] = environment[domain.name] = value
    return found


def check_names(regression: Regression, known: Collection[str]) -> None:
    """Check that a regression gives values to variables of the claim only.

    Raises:
        ContractSyntaxError: it names something else.
    """
    for name in regression.values:
        if name not in known:
            raise ContractSyntaxError(
                f"regression: {name!r} is no variable of the claim",
                where=regression.places[name],
                hint=did_you_mean(name, known)
                or f"Variables: {', '.join(sorted(known)) or 'none'}.",
            )
