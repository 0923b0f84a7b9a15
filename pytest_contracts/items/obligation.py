"""Proof obligations: a procedure, a formula, or the template of the type."""

from __future__ import annotations

from collections.abc import Callable

from pytest_contracts.contract.model import Equation, ProofObligation
from pytest_contracts.contract.obligation_keys import KEYS
from pytest_contracts.contract.obligation_types import TYPES, Judge
from pytest_contracts.contract.scope import concerned, definition_of, implementation_names
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.items.case import Case
from pytest_contracts.items.formula_claim import formal_of, formula_test
from pytest_contracts.items.formulas import Formula
from pytest_contracts.items.obligations import TEMPLATES, Clause
from pytest_contracts.items.observation import Prose
from pytest_contracts.items.procedure_claim import procedure_test


def obligation_test(case: Case) -> Callable[..., None]:
    """Return the test of a proof obligation: its procedure, its formula, its type's template.

    Beside a formula the template is checked as well, where the claim has a key that it reads, or
    where the binding leaves it nothing to guess.

    Raises:
        Prose: there is none of them.
        ContractSyntaxError: the template lacks what it needs, or a key says what nothing reads.
    """
    claim = case.claim
    assert isinstance(claim, ProofObligation)
    _refuse_unread(claim)
    if claim.run is not None:
        return procedure_test(case)
    formula = formal_of(claim)
    if formula is not None:
        clause = _beside(case, claim, formula)
        if clause is None:
            return formula_test(case, (formula,))
        return TEMPLATES[claim.type].write(clause)
    template = TEMPLATES.get(claim.type)
    if template is None or not case.contract.equations:
        raise Prose(f"type {claim.type} needs formal or run")
    return template.write(Clause.of(case, claim, _only(case, claim, frozenset())))


def _only(case: Case, claim: ProofObligation, mentioned: frozenset[str]) -> Equation:
    equations = concerned(case.contract, claim, mentioned)
    if len(equations) != 1:
        raise ContractSyntaxError(
            f"type {claim.type}: the contract has several equations, and the claim names none",
            where=claim.where,
            hint="Add equation: to the claim.",
        )
    return equations[0]


def _refuse_unread(claim: ProofObligation) -> None:
    """Refuse a key that would only seem to strengthen the claim."""
    row = TYPES[claim.type]
    read = row.key_names if _reads_keys(claim) else frozenset()
    for key in sorted({key.name for key in KEYS} & claim.extra.keys() - read):
        beside = "" if read == row.key_names else " that has formal or run"
        readers = ", ".join(name for name, other in TYPES.items() if key in other.key_names)
        raise ContractSyntaxError(
            f"{key!r} says nothing in a claim of type {claim.type}{beside}",
            where=claim.where,
            hint=f"It is read by the templates of {readers}.",
        )


def _reads_keys(claim: ProofObligation) -> bool:
    """Tell whether somebody reads the keys of the claim's type."""
    whole_run = TYPES[claim.type].judge is Judge.WHOLE_RUN
    return claim.run is None and (claim.formal is None or not whole_run)


def _beside(case: Case, claim: ProofObligation, formula: Formula) -> Clause | None:
    """Return the clause of the template that is checked beside a formula, None for none."""
    template = TEMPLATES.get(claim.type)
    if template is None:
        return None
    if TYPES[claim.type].key_names & claim.extra.keys():
        equation = _only(case, claim, formula.names)
        return Clause.of(case, claim, equation, (formula,))
    equations = concerned(case.contract, claim, formula.names)
    if len(equations) != 1 or not _is_defined(equations[0]):
        return None
    if case.implementation not in implementation_names(case.contract, equations[0]):
        return None
    clause = Clause.of(case, claim, equations[0], (formula,))
    return clause if template.enough.says(clause) else None


def _is_defined(equation: Equation) -> bool:
    definition = definition_of(equation)
    return definition is not None and bool(definition.parameters)
