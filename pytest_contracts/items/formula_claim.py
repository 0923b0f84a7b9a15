"""Claims by formula: one or several formulas, judged on the variables that they mention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_contracts.contract.model import Claim, Equation
from pytest_contracts.contract.scope import concerned, refuse_two_meanings
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.items.case import Case
from pytest_contracts.items.drawn import drawn_test
from pytest_contracts.items.formulas import Formula, FormulaCheck, check_names, known_names
from pytest_contracts.items.precision import precision_of
from pytest_contracts.tolerance import misses_nothing


def formal_of(claim: Claim) -> Formula | None:
    """Return a claim's parsed formula; FormulaError where it does not parse."""
    return Formula.of_claim(claim)


def formula_test(
    case: Case,
    formulas: tuple[Formula, ...],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Callable[..., None]:
    """Return the test that judges formulas on the variables they mention.

    ``functions`` are known to the formulas beside the contract's equations.

    Raises:
        Prose: the formulas call no implementation.
    """
    check, equations = formula_check(case, formulas, functions)
    check.refuse_prose()
    case.prepare.append(check.bind)
    wanted = frozenset().union(*(formula.names for formula in check.formulas))
    return drawn_test(case, check, wanted, case.variables(equations))


def formula_check(
    case: Case,
    formulas: tuple[Formula, ...],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> tuple[FormulaCheck, tuple[Equation, ...]]:
    """Return the check of formulas, and the equations that they are about.

    Raises:
        FormulaError: a name resolves to nothing.
        ContractSyntaxError: nothing could miss the claim's tolerance.
    """
    refuse_tolerance(case.claim, formulas)
    mentioned = frozenset().union(*(formula.names for formula in formulas))
    refuse_two_meanings(case.contract, mentioned)
    equations = concerned(case.contract, case.claim, mentioned)
    variables = case.variables(equations)
    known = known_names(case.contract, {**variables, **case.parameters.values, **(functions or {})})
    for formula in formulas:
        check_names(formula, known)
    check = FormulaCheck(
        case.contract,
        case.claim,
        formulas,
        implementation=case.implementation,
        parameters=case.parameters.values,
        observation=case.observation,
        functions=functions,
        equation=equations[0] if len(equations) == 1 else None,
        precision=precision_of(
            variable for name, variable in variables.items() if name in mentioned
        ),
    )
    return check, equations


def refuse_tolerance(claim: Claim, formulas: tuple[Formula, ...]) -> None:
    """Refuse a tolerance that nothing can miss, and ``ε`` where it is no absolute difference.

    Raises:
        ContractSyntaxError: the tolerance does not mean what it seems to.
    """
    for formula in formulas:
        if claim.tolerance_kind != "absolute" and "tolerance" in formula.names:
            raise ContractSyntaxError(
                f"ε is a difference, but the tolerance is of kind {claim.tolerance_kind}",
                where=formula.where,
                hint="write a ≈ b, which has the claim's kind, or an absolute tolerance",
            )
    why = misses_nothing(claim.tolerance, claim.tolerance_kind)
    if why is not None:
        raise ContractSyntaxError(
            f"nothing can miss a tolerance of {claim.tolerance:g} of kind {claim.tolerance_kind}",
            where=claim.where,
            hint=why,
        )
