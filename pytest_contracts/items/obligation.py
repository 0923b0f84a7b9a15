"""Proof obligations: a procedure, a formula, or the template of the type."""

from __future__ import annotations

from collections.abc import Callable

from pytest_contracts.contract.model import Equation, ProofObligation
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.items.case import Case
from pytest_contracts.items.equations import concerned, definition_of
from pytest_contracts.items.falsification import formal_of, formula_test
from pytest_contracts.items.formulas import Formula
from pytest_contracts.items.observation import Prose
from pytest_contracts.items.procedure_claim import procedure_test
from pytest_contracts.items.templates import KEYS, TEMPLATES, Clause
from pytest_contracts.items.templates.declared import equivalence


def obligation_test(case: Case) -> Callable[..., None]:
    """Return the test of a proof obligation: its procedure, its formula, or its type's template.

    An equivalence with a formula is checked against the definition as well.

    Raises:
        Prose: there is neither, and the type has no template.
        ContractSyntaxError: the template lacks what it needs, or a key says what nothing reads.
    """
    claim = case.claim
    assert isinstance(claim, ProofObligation)
    _refuse_unread(claim)
    if claim.run is not None:
        return procedure_test(case)
    formula = formal_of(claim)
    if formula is not None:
        return _formal_test(case, claim, formula)
    template = TEMPLATES.get(claim.type)
    if template is None or not case.contract.equations:
        raise Prose(f"type {claim.type} needs formal or run")
    equations = concerned(case.contract, claim, frozenset())
    if len(equations) != 1:
        raise ContractSyntaxError(
            f"type {claim.type}: the contract has several equations, and the claim names none",
            where=claim.where,
            hint="Add equation: to the claim.",
        )
    return template(Clause.of(case, claim, equations[0]))


def _refuse_unread(claim: ProofObligation) -> None:
    """Refuse a key that would only seem to strengthen the claim."""
    templated = claim.run is None and (claim.formal is None or claim.type == "equivalence")
    read = KEYS.get(claim.type, frozenset()) if templated else frozenset()
    for key in sorted(frozenset().union(*KEYS.values()) & claim.extra.keys() - read):
        beside = "" if templated else " that has formal or run"
        raise ContractSyntaxError(
            f"{key!r} says nothing in a claim of type {claim.type}{beside}",
            where=claim.where,
            hint=f"It is read by the templates of {', '.join(t for t in KEYS if key in KEYS[t])}.",
        )


def _formal_test(case: Case, claim: ProofObligation, formula: Formula) -> Callable[..., None]:
    equations = concerned(case.contract, claim, formula.names)
    defined = len(equations) == 1 and _is_defined(equations[0])
    if claim.type == "equivalence" and defined and case.implementation is not None:
        return equivalence(Clause.of(case, claim, equations[0]), formula)
    return formula_test(case, (formula,))


def _is_defined(equation: Equation) -> bool:
    definition = definition_of(equation)
    return definition is not None and bool(definition.parameters)
