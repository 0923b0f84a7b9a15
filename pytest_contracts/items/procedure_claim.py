"""A claim that ``run``s a procedure: who fills its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_contracts.contract.model import Equation
from pytest_contracts.contract.scope import concerned
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.items.case import Case
from pytest_contracts.items.drawn import drawn_test
from pytest_contracts.items.equations import Equations, Subject
from pytest_contracts.items.procedures import parameter_names, procedure


def _subject(case: Case, equations: tuple[Equation, ...]) -> Subject:
    known = Equations(case.contract, case.implementation, case.observation)
    for equation in equations:
        subject = known.subject(equation)
        if subject is not None:
            case.prepare.append(subject.bind)
            return subject
    raise ContractBindingError(
        "the procedure asks for an implementation, but the claim's equation has none",
        where=case.claim.run_where or case.claim.where,
        hint="Name the equation with equation: in the claim.",
    )


def procedure_test(case: Case) -> Callable[..., None]:
    """Return the test that calls a claim's procedure.

    Parameters are filled, in this order: by ``parametrize``; ``compared``, ``tolerance`` and
    ``implementation`` (the one under test, witnessed) by the item; by the variables of the claim
    and its equation, drawn by Hypothesis; by pytest fixtures.
    """
    function = procedure(case.contract, case.claim, case.config)
    case.observation.functions.append(function)
    names = parameter_names(function)
    fixed: dict[str, Any] = {
        name: value for name, value in case.parameters.values.items() if name in names
    }
    if "compared" in names:
        fixed["compared"] = case.observation.compared
    case.observation.counts = "compared" in names
    if "tolerance" in names:
        fixed["tolerance"] = case.claim.tolerance
    equations = concerned(case.contract, case.claim, frozenset())
    if "implementation" in names:
        fixed["implementation"] = _subject(case, equations)
    variables = case.variables(equations)
    drawn = [name for name in names if name in variables and name not in fixed]
    fixtures = tuple(name for name in names if name not in fixed and name not in drawn)

    def body(inputs: Mapping[str, Any], **filled: Any) -> None:
        __tracebackhide__ = True
        function(**fixed, **{name: inputs[name] for name in drawn}, **filled)

    return drawn_test(case, body, drawn, variables, fixtures)
