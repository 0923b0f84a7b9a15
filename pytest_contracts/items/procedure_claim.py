"""A claim that ``run``s a procedure: who fills its parameters."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import CodeType
from typing import Any

from hypothesis.errors import UnsatisfiedAssumption

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.binding import code_of, resolve
from pytest_contracts.contract.model import Contract, Equation
from pytest_contracts.contract.scope import concerned
from pytest_contracts.errors import ContractBindingError, Falsified
from pytest_contracts.items.case import Case
from pytest_contracts.items.drawn import drawn_test
from pytest_contracts.items.equations import Equations, Subject, rejects_inputs
from pytest_contracts.items.fingerprint import IMMUTABLE, Snapshot
from pytest_contracts.items.observation import is_absence, is_skip
from pytest_contracts.items.pools import pools_that_fail
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


def _imported(contract: Contract) -> Iterator[tuple[CodeType, str]]:
    """Yield the code of the implementations whose modules have been imported, with their names."""
    for equation in contract.equations:
        for name, target in equation.implementations.items():
            if target.partition(":")[0] in sys.modules:
                with suppress(ContractBindingError):
                    code = code_of(resolve(target))
                    if code is not None:
                        yield code, f"{equation.name} as {name!r}"


def _refuse_rejection(error: UnsatisfiedAssumption, named: Mapping[CodeType, str]) -> None:
    """Refuse an implementation that throws inputs away; a procedure may."""
    for name in _passed(error, named):
        raise rejects_inputs(name) from error


def _passed(error: BaseException, named: Mapping[CodeType, str]) -> Iterator[str]:
    """Yield the names of the implementations through which an exception came."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code in named:
            yield named[frame.f_code]


def _behind(error: BaseException) -> Iterator[AssertionError]:
    """Yield the failures in whose handling an exception was raised."""
    context = error.__context__
    while context is not None:
        if isinstance(context, AssertionError):
            yield context
        context = context.__context__


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
    case.observation.asserts = True
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

    @cache
    def implementations() -> Mapping[CodeType, str]:
        return dict(_imported(case.contract))

    def body(inputs: Mapping[str, Any], **filled: Any) -> None:
        __tracebackhide__ = True
        given = {name: inputs[name] for name in drawn}
        before = dict(_snapshots(given))
        tested = fixed.get("implementation")
        if isinstance(tested, Subject):
            tested.raised = None
        TALLY.begin()
        try:
            with threads_that_fail(), pools_that_fail():
                refuse_answer(function, function(**fixed, **given, **filled), where)
        except UnsatisfiedAssumption as error:
            _refuse_rejection(error, implementations())
            raise
        except BaseException as error:
            if is_absence(error):
                for failure in (*TALLY.unheard, *_behind(error)):
                    raise failure from None
                case.observation.asserted += TALLY.reached
                through = _passed(error, implementations())
                case.observation.refuted |= is_skip(error) and any(through)
            raise
        if TALLY.unheard:
            raise TALLY.unheard[0]
        if isinstance(tested, Subject) and tested.raised is not None and not TALLY.reached:
            raise Falsified(
                f"{tested.label} as {tested.implementation!r} takes every input of the domain",
                detail={"reason": f"{tested.raised!r}, and the procedure passes over it"},
            ) from tested.raised
        _refuse_changes(before, given)
        case.observation.asserted += TALLY.reached

    return drawn_test(case, body, drawn, variables, fixtures)
