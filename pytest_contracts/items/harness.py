"""Bounded proofs: a harness run by a symbolic engine in a process of its own."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

from pytest_contracts.contract.meaning import expression
from pytest_contracts.contract.model import Harness
from pytest_contracts.contract.scope import concerned, implementation_names
from pytest_contracts.errors import ContractError, Falsified, Unavailable, VacuousError
from pytest_contracts.formula import free_names
from pytest_contracts.items.case import Case
from pytest_contracts.items.equations import Subject
from pytest_contracts.items.observation import Inconclusive, Prose
from pytest_contracts.items.procedures import (
    parameter_names,
    procedure,
    refuse_defaults,
    refuse_unrun,
)
from pytest_contracts.items.properties import as_single
from pytest_contracts.ledger.verdict import Verdict

DEFAULT_TIMEOUT_S = 20.0


def harness_test(case: Case) -> Callable[..., None]:
    """Return the test that has a harness verified.

    Raises:
        Prose: it has no ``run``.
    """
    claim = case.claim
    assert isinstance(claim, Harness)
    if claim.run is None:
        raise Prose("a harness needs run")
    function = procedure(case.contract, claim, case.config)
    case.observation.functions.append(function)
    taken = parameter_names(function)[1:]
    parameters = {k: v for k, v in case.parameters.values.items() if k in taken}
    where = claim.run_where or claim.where
    refuse_unrun(function, where)
    refuse_defaults(function, case.parameters.values, where)
    harness = functools.partial(function, **parameters) if parameters else function

    def body(inputs: object) -> None:
        __tracebackhide__ = True
        from pytest_contracts.symbolic import verify

        result = verify(
            harness,
            bound=claim.bound,
            strategy=claim.strategy,
            solver=claim.solver,
            timeout_s=float(claim.extra.get("timeout", DEFAULT_TIMEOUT_S)),
            asserting=True,
            about=_packages(case),
        )
        observation = case.observation
        observation.message = ", ".join(result.assumptions)
        what = "cases" if result.solver == "enumerate" else "paths"
        observation.compared(result.paths, what=what)
        match result.verdict:
            case "CONFIRMED":
                observation.verdict = Verdict.CONFIRMED
                observation.bounded = result.bounded
            case "FALSIFIED":
                observation.inputs = dict(result.values)
                traceback = _shortened(result.traceback, case)
                detail = {"traceback": traceback} if traceback else {}
                reason = _shortened(result.reason, case)
                raise Falsified(reason or claim.statement, detail=detail)
            case "VACUOUS":
                raise VacuousError(result.reason, where=claim.where)
            case "INCONCLUSIVE":
                raise Inconclusive(result.reason)

    return as_single(body, fixtures=(), observation=case.observation)


def _packages(case: Case) -> set[str]:
    """Return the packages of the code that the harness's obligation is about.

    Empty where that cannot be told: a compiled function leaves no trace of a call.
    """
    contract, claim = case.contract, case.claim
    assert isinstance(claim, Harness)
    packages = set()
    for obligation in contract.obligations:
        if obligation.id != claim.obligation:
            continue
        tree = expression(obligation)
        mentioned = frozenset() if tree is None else free_names(tree)
        for equation in concerned(contract, obligation, mentioned):
            for name in implementation_names(contract, equation):
                try:
                    function = Subject(contract, equation, name, case.observation).function
                except (ContractError, Unavailable, Prose):
                    continue  # its own item says so
                if not isinstance(function, FunctionType):
                    return set()
                packages.add(function.__module__.partition(".")[0])
    return packages


def _shortened(text: str, case: Case) -> str:
    """Return a text with paths as seen from the root of the project, or from the contract."""
    for folder in (case.config.rootpath, case.contract.sibling.resolve().parent):
        if folder != Path(folder.anchor):
            text = text.replace(f"{folder}{os.sep}", "")
    return text
