"""A claim that ``run``s a procedure: who fills its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pytest_contracts.contract.model import Equation
from pytest_contracts.contract.scope import concerned
from pytest_contracts.errors import ContractBindingError, Falsified
from pytest_contracts.items.case import Case
from pytest_contracts.items.drawn import drawn_test
from pytest_contracts.items.equations import Equations, Subject
from pytest_contracts.items.fingerprint import IMMUTABLE, Snapshot
from pytest_contracts.items.procedures import (
    parameter_names,
    procedure,
    refuse_answer,
    refuse_defaults,
    refuse_unrun,
)
from pytest_contracts.items.threads import threads_that_fail


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


def _never_called(name: str, subject: Subject) -> str | None:
    if subject.calls:
        return None
    return f"{name} never called {subject.label} as {subject.implementation!r}"


def _snapshots(given: Mapping[str, Any]) -> Iterator[tuple[str, Snapshot]]:
    """Yield the inputs that can change, and whose state can be told; a Decimal's cannot."""
    for name, value in given.items():
        if not isinstance(value, IMMUTABLE):
            with suppress(ContractBindingError):
                yield name, Snapshot.of(value)


def _refuse_changes(before: Mapping[str, Snapshot], given: Mapping[str, Any]) -> None:
    """Refuse a procedure that ends with other inputs: what it compared, it compared with them."""
    for name, snapshot in before.items():
        apart = snapshot.difference(Snapshot.of(given[name]))
        if apart is not None:
            raise Falsified(f"the procedure leaves its input {name} as it was drawn", **apart)


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
        subject = fixed["implementation"] = _subject(case, equations)
        case.observation.demands.append(lambda: _never_called(function.__name__, subject))
    variables = case.variables(equations)
    drawn = [name for name in names if name in variables and name not in fixed]
    fixtures = tuple(name for name in names if name not in fixed and name not in drawn)
    where = case.claim.run_where or case.claim.where
    stated = {*case.parameters.values, *variables, "compared", "implementation"}
    if case.claim.tolerance is not None:
        stated.add("tolerance")
    refuse_unrun(function, where)
    refuse_defaults(function, stated, where)

    def body(inputs: Mapping[str, Any], **filled: Any) -> None:
        __tracebackhide__ = True
        given = {name: inputs[name] for name in drawn}
        before = dict(_snapshots(given))
        with threads_that_fail():
            refuse_answer(function, function(**fixed, **given, **filled), where)
        _refuse_changes(before, given)

    return drawn_test(case, body, drawn, variables, fixtures)
