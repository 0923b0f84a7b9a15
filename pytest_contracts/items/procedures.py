"""``run:`` procedures: functions in the Python module beside a contract file."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Collection, Coroutine, Generator
from types import ModuleType
from typing import Any

import pytest
from _pytest.assertion.rewrite import rewrite_asserts

from pytest_contracts.asserting.helpers import Counter
from pytest_contracts.asserting.loading import CountingLoader, HelperFinder, helpers_found_by
from pytest_contracts.binding import load_file
from pytest_contracts.contract.model import Claim, Contract
from pytest_contracts.contract.scope import implementing_modules, judged_packages
from pytest_contracts.errors import (
    ContractBindingError,
    ContractError,
    Unavailable,
    VacuousError,
)
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where

Procedure = Callable[..., Any]


def procedure(contract: Contract, claim: Claim, config: pytest.Config) -> Procedure:
    """Return the function that a claim's ``run:`` names.

    Raises:
        ContractBindingError: there is no such module or function, or importing it failed.
    """
    where = claim.run_where or claim.where
    name = claim.run or ""
    if not contract.sibling.is_file():
        raise ContractBindingError(
            f"run: {name}: there is no module {contract.sibling.name} beside the contract",
            where=where,
        )
    try:
        module = _module(contract, config)
    except (ContractError, Unavailable):
        raise
    except Exception as error:
        raise ContractBindingError(
            f"importing {contract.sibling.name} failed: {type(error).__name__}: {error}",
            where=where,
        ) from error
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        known = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise ContractBindingError(
            f"{contract.sibling.name} has no function {name!r}",
            where=where,
            hint=did_you_mean(name, known),
        )
    return function


def _module(contract: Contract, config: pytest.Config) -> ModuleType:
    """Import the sibling module under a name of its own; its assertions count and explain."""
    path = contract.sibling.resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"contract_procedures_{path.stem}_{digest}"

    def judged() -> set[str]:
        return set(implementing_modules(contract))

    def explain(tree: ast.Module, source: bytes, path: str) -> None:
        rewrite_asserts(tree, source, path, config)

    rewriter = getattr(config.pluginmanager, "rewrite_hook", None)
    explained = explain if hasattr(rewriter, "exec_module") else None  # not with --assert=plain
    counter = Counter(judged)
    procedures = {claim.run for claim in contract.claims if claim.run is not None}
    loader = CountingLoader(name, str(path), counter, explained, procedures)
    roots = (config.rootpath.resolve(), path.parent)
    with helpers_found_by(HelperFinder(roots, judged_packages(contract), counter, explained)):
        return load_file(name, path, loader)


def refuse_defaults(function: Procedure, stated: Collection[str], where: Where) -> None:
    """Refuse a default in the place of what the claim states: it would run with the default.

    Raises:
        ContractBindingError: a parameter that the claim has a value for has one of its own.
    """
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in stated and parameter.default is not parameter.empty:
            raise ContractBindingError(
                f"{function.__name__} has a default for {parameter.name!r}, "
                f"{parameter.default!r}, which would hide what the claim states",
                where=where,
                hint=f"Write {parameter.name} without a default.",
            )


def refuse_unrun(function: Procedure, where: Where) -> None:
    """Refuse what a call only makes ready to run.

    Raises:
        VacuousError: the function is a coroutine or a generator.
    """
    if inspect.iscoroutinefunction(function):
        kind = "coroutine"
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        kind = "generator"
    else:
        return
    raise VacuousError(
        f"{function.__name__} is a {kind}: a call runs nothing of it",
        where=where,
        hint="Write a plain function; asyncio.run(…) within it runs a coroutine.",
    )


SUBTESTS = "subtests"
"""pytest's own fixture, or that of pytest-subtests."""


def refuse_subtests(name: str, asked: Collection[str], where: Where) -> None:
    """Refuse a procedure whose failures would not reach its claim.

    Raises:
        ContractBindingError: it asks for ``subtests``, itself or by a fixture.
    """
    if SUBTESTS in asked:
        raise ContractBindingError(
            f"{name} asks for subtests, whose failures would not reach the claim",
            where=where,
            hint="Assert each case, or state the cases under parametrize.",
        )


def refuse_answer(function: Procedure, result: object, where: Where) -> None:
    """Refuse a procedure that answers in place of asserting.

    Raises:
        VacuousError: it returned a value, which nobody looks at.
    """
    if result is None:
        return
    if isinstance(result, Coroutine | Generator):
        result.close()
    raise VacuousError(
        f"{function.__name__} returned {type(result).__name__}, which nobody looks at",
        where=where,
        hint="A procedure asserts: write assert in place of return.",
    )


def parameter_names(function: Procedure) -> tuple[str, ...]:
    """Return the names of the parameters that somebody must fill.

    Raises:
        ContractBindingError: the function takes ``*args`` or positional-only parameters.
    """
    names = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ContractBindingError(
                f"{function.__name__} takes {parameter}: parameters are filled by name"
            )
        if parameter.default is parameter.empty:
            names.append(parameter.name)
    return tuple(names)
