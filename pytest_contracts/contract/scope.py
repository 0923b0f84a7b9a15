"""What a claim speaks of: its equations, their definitions and implementations, its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pytest_contracts.binding import registered
from pytest_contracts.contract.model import Claim, Contract, Equation, Variable
from pytest_contracts.errors import ContractError, ContractSyntaxError
from pytest_contracts.formula import Definition, parse_definition
from pytest_contracts.formula.reading.remarks import refuse_named


def implementation_names(contract: Contract, equation: Equation) -> tuple[str, ...]:
    """Return the names of an equation's implementations, the file's first."""
    return tuple(dict.fromkeys([*equation.implementations, *decorated(contract, equation)]))


def decorated(contract: Contract, equation: Equation) -> Mapping[str, Callable[..., Any]]:
    """Return what decorators bind; where a binding file speaks for a wild equation, it alone does.

    Our own contract may have the name of the wild one that it grew from.
    """
    if contract.dialect == "wild" and equation.implementations:
        return {}
    return registered(contract.name, equation.name)


def implementing_modules(contract: Contract) -> Iterator[str]:
    """Yield the modules of the functions that are bound to a contract's equations."""
    for equation in contract.equations:
        yield from (target.partition(":")[0] for target in equation.implementations.values())
        yield from (function.__module__ for function in decorated(contract, equation).values())


def judged_packages(contract: Contract) -> set[str]:
    """Return the top-level packages of what a contract judges.

    They hold its implementations, and what its mutants change: a contract whose claims are all
    procedures names what it is about there alone.
    """
    mutants = contract.qa_gate.mutants if contract.qa_gate is not None else ()
    modules = {*implementing_modules(contract), *(mutant.target for mutant in mutants)}
    return {module.partition(":")[0].partition(".")[0] for module in modules}


def definition_of(equation: Equation) -> Definition | None:
    """Return the parsed definition of an equation, None where it has no formula."""
    if equation.formula is None:
        return None
    try:
        refuse_named(equation.formula, {variable.name for variable in equation.variables})
        return _read(equation.formula)
    except ContractError as error:
        if error.where is None:
            error.where = equation.formula_where
        raise


@lru_cache(maxsize=1024)
def _read(formula: str) -> Definition:
    """Return a definition's tree; every claim about the equation asks for it."""
    return parse_definition(formula)


def refuse_two_meanings(contract: Contract, mentioned: Iterable[str]) -> None:
    """Refuse a name that two equations define: which of them a claim is about, nobody can tell.

    Raises:
        ContractSyntaxError: there is one among the names.
    """
    wanted = set(mentioned)
    found: dict[str, Equation] = {}
    for equation in contract.equations:
        definition = definition_of(equation)
        known = {equation.name} if definition is None else {equation.name, definition.name}
        for name in sorted(known & wanted):
            other = found.setdefault(name, equation)
            if other is not equation:
                raise ContractSyntaxError(
                    f"{name!r} is defined by two equations, {other.name} and {equation.name}",
                    where=equation.formula_where or equation.where,
                    hint="Give one of them another name, and use the names of the equations.",
                )


def concerned(contract: Contract, claim: Claim, mentioned: frozenset[str]) -> tuple[Equation, ...]:
    """Return the equations a claim is about: named, mentioned in its formula, or the only one."""
    if claim.equation is not None:
        return (contract.equation(claim.equation),)
    found = []
    for equation in contract.equations:
        definition = definition_of(equation)
        if equation.name in mentioned or (definition is not None and definition.name in mentioned):
            found.append(equation)
    if found:
        return tuple(found)
    return contract.equations if len(contract.equations) == 1 else ()


def variables_of(
    contract: Contract, claim: Claim, equations: Iterable[Equation]
) -> dict[str, Variable]:
    """Return the variables a claim may use: its own, then those of its equations."""
    found = {variable.name: variable for variable in claim.variables}
    for equation in equations:
        for variable in equation.variables:
            found.setdefault(variable.name, variable)
    return found
