"""What a claim means, as a digest: it changes with the claim, not with the words around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pytest_contracts.contract.model import Claim, Contract, Equation, Harness, Variable
from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import Expr, parse, parse_definition
from pytest_contracts.formula.compare import canonical

_SPEECH = {"because", "lean", "notes", "slow", "blocked_by"}
"""Keys of a claim that only speak of it."""


def expression(claim: Claim) -> Expr | None:
    """Return the tree of a claim's formula, None where it has none.

    Raises:
        FormulaError: it does not parse; ``offset`` is a place in what ``written`` returns.
    """
    if claim.read is not None:
        return claim.read.tree
    return None if claim.formal is None else parse(claim.formal)


def written(claim: Claim) -> str:
    """Return the formula as its author wrote it, '' where there is none."""
    return claim.read.written if claim.read is not None else claim.formal or ""


def claim_digest(contract: Contract, claim: Claim, implementation: str | None) -> str:
    """Return the SHA-256 of what a claim demands of one implementation.

    Formulas count as trees, so that neither spelling nor spaces matter; neither do statement,
    ``if_fails``, status and the other implementations.
    """
    said: dict[str, Any] = {
        "kind": claim.kind,
        "type": getattr(claim, "type", None),
        "equation": claim.equation,
        "formal": _formal(claim),
        "run": claim.run,
        "variables": _domains(claim.variables),
        "tolerance": [claim.tolerance, claim.tolerance_kind, claim.floor],
        "examples": claim.examples,
        "extra": {key: value for key, value in claim.extra.items() if key not in _SPEECH},
        "constants": contract.constants,
        "equations": [_equation(equation, implementation) for equation in contract.equations],
    }
    if isinstance(claim, Harness):
        said["harness"] = [claim.obligation, claim.bound, claim.strategy, claim.solver]
    text = json.dumps(said, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _formal(claim: Claim) -> str | None:
    if claim.read is not None:
        return repr(canonical(claim.read.tree))
    return None if claim.formal is None else _meaning(claim.formal)


def _equation(equation: Equation, implementation: str | None) -> list[Any]:
    formula = equation.formula
    target = equation.implementations.get(implementation or "")
    return [
        equation.name,
        None if formula is None else _meaning(formula, definition=True),
        _domains(equation.variables),
        equation.codomain,
        target,
    ]


def _domains(variables: Iterable[Variable]) -> dict[str, Any]:
    return {variable.name: variable.spec for variable in variables}


@lru_cache(maxsize=4096)
def _meaning(text: str, *, definition: bool = False) -> str:
    """Return a formula's tree as text, or the text itself where it does not parse."""
    try:
        return repr(canonical(parse_definition(text) if definition else parse(text)))
    except FormulaError:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    return str(value)
