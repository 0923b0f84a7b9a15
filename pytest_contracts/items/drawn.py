"""A case as a test function: its check on drawn inputs, or once where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_contracts.contract.model import Variable
from pytest_contracts.domains.regressions import recorded
from pytest_contracts.domains.strategies import Domain, inputs_strategy
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.items.case import Case
from pytest_contracts.items.properties import as_property, as_single, enough_of, seed_of


def drawn_test(
    case: Case,
    body: Callable[..., None],
    wanted: Iterable[str],
    variables: Mapping[str, Variable],
    fixtures: tuple[str, ...] = (),
) -> Callable[..., None]:
    """Return a test of ``body(inputs, **fixtures)`` that draws the wanted variables, if any.

    Raises:
        ContractSyntaxError: the claim records regressions, but draws nothing.
    """
    domains = _domains(case, wanted, variables)
    if case.claim.regressions and not domains:
        raise ContractSyntaxError(
            "the claim draws nothing, so it has no regressions",
            where=case.claim.regressions[0].where,
        )
    if not domains:
        return as_single(body, fixtures=fixtures, observation=case.observation)
    given = {**case.contract.constants, **case.parameters.values}
    examples = case.options.examples or case.claim.examples
    case.observation.enough = enough_of(case.claim, examples)
    in_file_order = [domains[name] for name in variables if name in domains]
    return as_property(
        body,
        inputs_strategy(in_file_order, given),
        fixtures=fixtures,
        observation=case.observation,
        nodeid=case.nodeid,
        examples=examples,
        regressions=tuple(recorded(case.claim.regressions, in_file_order, given, variables)),
        seeded=seed_of(case.config, case.nodeid),
    )


def _domains(
    case: Case, wanted: Iterable[str], variables: Mapping[str, Variable]
) -> dict[str, Domain]:
    """Return the domains of the wanted variables, and of those on which they depend."""
    domains: dict[str, Domain] = {}
    waiting = [name for name in wanted if name in variables]
    while waiting:
        name = waiting.pop()
        if name not in domains:
            domains[name] = case.names.domain(variables[name])
            waiting += [need for need in domains[name].needs if need in variables]
    return domains
