"""Proof obligations: the templates of the types that need no formula, or the formula itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_contracts.contract.model import Equation, ProofObligation
from pytest_contracts.errors import ContractSyntaxError, Falsified
from pytest_contracts.items.case import Case
from pytest_contracts.items.equations import Equations, concerned, definition_of
from pytest_contracts.items.falsification import formal_of, formula_test
from pytest_contracts.items.formulas import Formula
from pytest_contracts.items.observation import Prose
from pytest_contracts.items.procedure_claim import procedure_test

Template = Callable[[Case, ProofObligation, Equation], Callable[..., None]]


def obligation_test(case: Case) -> Callable[..., None]:
    """Return the test of a proof obligation: its procedure, its formula, or its type's template.

    An equivalence with a formula is checked against the definition as well.

    Raises:
        Prose: there is neither, and the type has no template.
    """
    claim = case.claim
    assert isinstance(claim, ProofObligation)
    if claim.run is not None:
        return procedure_test(case)
    formula = formal_of(claim)
    if formula is not None:
        formulas: tuple[Formula, ...] = (formula,)
        if claim.type == "equivalence" and (equation := _only_equation(case, formula)) is not None:
            formulas = (*_equivalence_formulas(case, equation), formula)
        return formula_test(case, formulas)
    template = TEMPLATES.get(claim.type)
    equation = _only_equation(case, None)
    if template is None or equation is None:
        raise Prose(f"type {claim.type} needs formal or run")
    return template(case, claim, equation)


def _only_equation(case: Case, formula: Formula | None) -> Equation | None:
    mentioned = formula.names if formula is not None else frozenset()
    equations = concerned(case.contract, case.claim, mentioned)
    return equations[0] if len(equations) == 1 else None


def _call(equation: Equation) -> tuple[str, tuple[str, ...]]:
    """Return ``f(x, y)`` in the words of the definition, and its parameters."""
    definition = definition_of(equation)
    if definition is None or not definition.parameters:
        raise ContractSyntaxError(
            f"equation {equation.name!r} has no definition f(x) = … to take its arguments from",
            where=equation.where,
        )
    return f"{equation.name}({', '.join(definition.parameters)})", definition.parameters


def _equivalence_formulas(case: Case, equation: Equation) -> tuple[Formula, ...]:
    if case.implementation is None or definition_of(equation) is None:
        return ()
    call, parameters = _call(equation)
    exact = case.claim.tolerance is None and case.claim.tolerance_kind == "absolute"
    sign = "=" if exact else "≈"
    text = f"{call} {sign} definition({', '.join(parameters)})"
    return (Formula.of(text, case.claim.where),)


def _equivalence(case: Case, claim: ProofObligation, equation: Equation) -> Callable[..., None]:
    """f(x) ≈ the definition in float64."""
    formulas = _equivalence_formulas(case, equation)
    if not formulas:
        raise Prose(f"equation {equation.name} has no definition to be equivalent to")
    return formula_test(case, formulas)


def _idempotency(case: Case, claim: ProofObligation, equation: Equation) -> Callable[..., None]:
    """f(f(x)) ≈ f(x), the other arguments unchanged."""
    call, parameters = _call(equation)
    twice = f"{equation.name}({', '.join([call, *parameters[1:]])})"
    sign = "=" if claim.tolerance is None else "≈"
    return formula_test(case, (Formula.of(f"{twice} {sign} {call}", claim.where),))


def _bound(case: Case, claim: ProofObligation, equation: Equation) -> Callable[..., None]:
    """Every element of f(x) lies in the codomain, an interval such as ``[0, 1]^n``."""
    codomain = (equation.codomain or "").split("^")[0].strip()
    if not (codomain[:1] in "[(" and codomain[-1:] in "])" and codomain.count(",") == 1):
        raise Prose("type bound needs formal, run, or an equation whose codomain is an interval")
    call, _ = _call(equation)
    return formula_test(case, (Formula.of(f"{call} in {codomain}", equation.where),))


def _monotonicity(case: Case, claim: ProofObligation, equation: Equation) -> Callable[..., None]:
    """x_i ≤ x_j ⟹ f(x)_i ≤ f(x)_j, or ≥ with ``direction: decreasing``.

    Checked along the sorted elements of the first argument, which is an array.
    """
    _, parameters = _call(equation)
    rising = claim.extra.get("direction", "increasing") == "increasing"
    word = "≤" if rising else "≥"
    case.observation.counts = True

    def ordered(inputs: Mapping[str, Any], subject: Callable[..., Any]) -> None:
        x = np.asarray(inputs[parameters[0]])
        y = np.asarray(subject(*(inputs[name] for name in parameters)), dtype=np.float64)
        if x.ndim != 1 or y.shape != x.shape:
            raise ContractSyntaxError(
                f"monotonicity without formal is about vectors, not shapes {x.shape} to {y.shape}",
                where=claim.where,
            )
        order = np.argsort(x, kind="stable")
        steps = np.diff(y[order]) if rising else -np.diff(y[order])
        strict = np.diff(x[order]) > 0
        case.observation.compared(int(np.count_nonzero(strict)))
        slack = claim.tolerance or 0.0
        failing = strict & ~(steps >= -slack)
        if failing.any():
            i, j = (int(order[k]) for k in (np.argmax(failing), np.argmax(failing) + 1))
            raise Falsified(
                f"x_i ≤ x_j ⟹ {equation.name}(x)_i {word} {equation.name}(x)_j",
                substituted=f"x[{i}] = {x[i]} ≤ x[{j}] = {x[j]}",
                left=float(y[i]),
                right=float(y[j]),
                error=float(abs(y[i] - y[j])),
                tolerance=claim.tolerance,
                index=(i, j),
            )

    return _with_subject(case, equation, parameters, ordered)


def _determinism(case: Case, claim: ProofObligation, equation: Equation) -> Callable[..., None]:
    """Two runs on the same input give the same bits."""
    _, parameters = _call(equation)
    case.observation.counts = True

    def same_bits(inputs: Mapping[str, Any], subject: Callable[..., Any]) -> None:
        arguments = [inputs[name] for name in parameters]
        first, second = (np.asarray(subject(*arguments)) for _ in range(2))
        case.observation.compared(max(first.size, second.size))
        if first.shape != second.shape or first.dtype != second.dtype:
            raise Falsified(
                f"two runs of {equation.name} are bit-identical",
                left=f"{first.dtype} {first.shape}",
                right=f"{second.dtype} {second.shape}",
            )
        if first.tobytes() != second.tobytes():
            bits = first.dtype.itemsize
            apart = np.ascontiguousarray(first).view(np.uint8) != np.ascontiguousarray(second).view(
                np.uint8
            )
            index = int(np.argmax(apart)) // bits
            raise Falsified(
                f"two runs of {equation.name} are bit-identical",
                left=first.ravel()[index].item(),
                right=second.ravel()[index].item(),
                index=tuple(int(i) for i in np.unravel_index(index, first.shape)),
            )

    return _with_subject(case, equation, parameters, same_bits)


def _with_subject(
    case: Case,
    equation: Equation,
    parameters: tuple[str, ...],
    check: Callable[[Mapping[str, Any], Callable[..., Any]], None],
) -> Callable[..., None]:
    equations = Equations(case.contract, case.implementation, case.observation)
    subject = equations.subject(equation)
    if subject is None:
        raise Prose(f"equation {equation.name} has no implementation")
    target = subject
    case.prepare.append(target.bind)

    def body(inputs: Mapping[str, Any]) -> None:
        check({**case.contract.constants, **case.parameters.values, **inputs}, target)

    return case.as_test(body, parameters, case.variables((equation,)))


TEMPLATES: Mapping[str, Template] = {
    "equivalence": _equivalence,
    "bound": _bound,
    "idempotency": _idempotency,
    "monotonicity": _monotonicity,
    "determinism": _determinism,
}
