"""Names that a claim states and nothing reads: whoever wrote them meant them to matter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pytest_contracts.contract.meaning import expression
from pytest_contracts.contract.model import Claim, Contract
from pytest_contracts.contract.scope import concerned, definition_of, variables_of
from pytest_contracts.errors import ContractBindingError, FormulaError
from pytest_contracts.formula import free_names, names

_WORD = re.compile(r"[^\W\d]\w*")
_GIVEN = {"compared", "tolerance", "implementation"}
"""What the item itself fills a procedure's parameters with."""


class Read(NamedTuple):
    """The parameters of a procedure, and those of them that its body reads."""

    parameters: frozenset[str]
    read: frozenset[str]


def refuse_unread(contract: Contract, claim: Claim) -> None:
    """Refuse a parameter or a variable that neither procedure nor formula nor domain reads.

    Nothing is imported: a procedure is read as text, and one that is not there is let pass. So is a
    parameter that a fixture may read.

    Raises:
        ContractBindingError: a name is stated, or drawn, and never read.
    """
    if contract.dialect == "wild":
        return
    reader = claim.run if claim.run is not None else "the formula"
    for name in _unread(contract, claim):
        own = next((variable for variable in claim.variables if variable.name == name), None)
        if own is not None and any(
            own in other.variables and name not in _unread(contract, other)
            for other in contract.claims
            if other is not claim
        ):
            continue  # several claims share the lines, and another one reads it
        raise ContractBindingError(
            f"{reader} never reads {name!r}, so what the claim says of it has no effect",
            where=claim.run_where or claim.where if own is None else own.where,
            hint=f"Use {name} in it, or leave {name} out.",
        )


def _unread(contract: Contract, claim: Claim) -> list[str]:
    try:
        return list(_unread_names(contract, claim))
    except FormulaError:  # reported as such
        return []


def _unread_names(contract: Contract, claim: Claim) -> Iterator[str]:
    own = {variable.name for variable in claim.variables}
    if claim.run is not None:
        found = _read_by(contract, claim.run)
        if found is None:
            return
        variables = variables_of(contract, claim, concerned(contract, claim, frozenset()))
        filled = {*claim.parametrize, *variables}
        fixtures = found.parameters - filled - _GIVEN
        stated = (filled & found.parameters) | own
        if not fixtures:
            stated |= claim.parametrize.keys()
        read = found.read
    else:
        tree = expression(claim)
        if tree is None:
            return
        equations = concerned(contract, claim, free_names(tree))
        variables = variables_of(contract, claim, equations)
        stated = {*claim.parametrize, *own}
        read = free_names(tree).union(
            *({v.name for v in equation.variables} for equation in equations)
        )
        for equation in contract.equations:
            definition = definition_of(equation)
            if definition is not None:
                read |= names(definition) | {*definition.parameters}
    elsewhere = set(_words(claim.extra))
    for variable in variables.values():
        elsewhere |= set(_words(variable.spec)) - {variable.name}
    for name, spec in claim.parametrize.items():
        if isinstance(spec, str):
            elsewhere |= set(_words(spec)) - {name}
    yield from sorted(stated - read - elsewhere)


def _words(value: Any) -> Iterator[str]:
    """Yield the names in every text of a part of the file."""
    if isinstance(value, str):
        yield from _WORD.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _words(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _words(part)


def _read_by(contract: Contract, procedure: str) -> Read | None:
    try:
        text = contract.sibling.read_bytes()
    except OSError:
        return None
    return _procedures(text).get(procedure)


@lru_cache(maxsize=64)
def _procedures(text: bytes) -> dict[str, Read]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
            loads = {
                part.id
                for statement in node.body
                for part in ast.walk(statement)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
            }
            whole = bool(loads & {"locals", "vars"})
            read = parameters if whole else parameters & loads
            found[node.name] = Read(frozenset(parameters), frozenset(read))
    return found
