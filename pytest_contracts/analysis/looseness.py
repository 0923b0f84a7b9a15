"""Tolerances that are legal, and looser than the arithmetic asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from pytest_contracts.contract import Contract
from pytest_contracts.contract.model import Claim, Equation
from pytest_contracts.contract.scope import concerned, definition_of, variables_of
from pytest_contracts.domains.strategies import Domain, inputs_strategy, parse_domain
from pytest_contracts.errors import ContractError, FormulaError
from pytest_contracts.formula.distance import Tolerance, cosine, distances
from pytest_contracts.formula.judging.baseline import wider
from pytest_contracts.formula.values import Undefined, as_array
from pytest_contracts.items.equations import Equations
from pytest_contracts.items.observation import Observation
from pytest_contracts.items.precision import precision_of
from pytest_contracts.tolerance import LIMITS

EXAMPLES = 10
ROOM = 1000.0
"""How many times the error of a plain evaluation an absolute tolerance may be without a word."""


def loose(contract: Contract, claim: Claim, mentioned: frozenset[str]) -> str | None:
    """Return a remark on a claim's tolerance where it is loose, None where it is not.

    ``mentioned`` are the names in the claim's formula.
    """
    kind, tolerance = claim.tolerance_kind, claim.tolerance
    if tolerance is None or claim.run is not None:
        return None
    limit = LIMITS[kind]
    if not limit.loose <= tolerance < limit.empty:
        return None
    said = f"{claim.id}: a tolerance of {tolerance:g} of kind {kind} is loose"
    if kind == "noise":
        return f"{said}: {limit.why}"
    equations = concerned(contract, claim, mentioned)
    error = _plain_error(contract, claim, equations[0]) if len(equations) == 1 else None
    if error is None:
        return None if kind == "absolute" else f"{said}: {limit.why}"
    worst, precision = error
    if kind == "absolute" and tolerance <= ROOM * worst:
        return None
    return f"{said}: a plain {precision} evaluation of the definition is off by {worst:.1g}"


def _plain_error(
    contract: Contract, claim: Claim, equation: Equation
) -> tuple[float, np.dtype[Any]] | None:
    """Return the largest error of a plain evaluation on drawn inputs, in the claim's own unit."""
    definition = definition_of(equation)
    if definition is None or not definition.parameters:
        return None
    variables = variables_of(contract, claim, (equation,))
    domains: dict[str, Domain] = {}
    waiting = list(definition.parameters)
    try:
        while waiting:
            name = waiting.pop()
            if name in variables and name not in domains:
                domains[name] = parse_domain(variables[name], {})
                waiting += domains[name].needs
        drawn = inputs_strategy(domains.values(), contract.constants)
    except ContractError:
        return None  # only a project's own plugins know how to draw
    precision = precision_of(variables[name] for name in domains)
    equations = Equations(contract, None, Observation())
    plain, exact = (equations.oracle(equation, precision=p) for p in (precision, wider(precision)))
    assert plain is not None
    assert exact is not None
    allowed = Tolerance(None, claim.tolerance_kind, claim.floor, precision)
    worst: list[float] = []

    def measure(inputs: dict[str, Any]) -> None:
        known = {**contract.constants, **inputs}
        try:
            given = [known[name] for name in definition.parameters]
            with np.errstate(all="ignore"):
                sides = as_array(plain(*given)), as_array(exact(*given))
                if allowed.kind == "cosine":
                    worst.append(1 - cosine(*sides))
                else:
                    worst.append(float(np.max(distances(*sides, allowed), initial=0.0)))
        except (FormulaError, Undefined, KeyError):
            return

    settings(
        max_examples=EXAMPLES, database=None, derandomize=True, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )(given(drawn)(measure))()  # fmt: skip
    finite = [error for error in worst if np.isfinite(error)]
    return (max(finite), np.dtype(precision)) if finite else None
