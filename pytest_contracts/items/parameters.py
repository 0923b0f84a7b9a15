"""``parametrize:`` of a claim: lists, or calls of functions that a project provides."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_contracts.contract.model import Claim
from pytest_contracts.errors import (
    ContractBindingError,
    ContractError,
    ContractSyntaxError,
    Unavailable,
    VacuousError,
)
from pytest_contracts.items.names import unknown
from pytest_contracts.where import Where

Functions = Mapping[str, Callable[..., Sequence[Any]]]


@dataclass(frozen=True)
class ParameterSet:
    """The values of one item's parameters and the words that stand for them in its node id."""

    values: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    unavailable: Unavailable | None = None


def parameter_sets(claim: Claim, functions: Functions) -> list[ParameterSet]:
    """Return every combination of a claim's parameters, in the order of the file.

    Raises:
        VacuousError: a parameter has no values.
        ContractSyntaxError, ContractBindingError: the text is no call of a known function.
    """
    sets = [ParameterSet()]
    for name, spec in claim.parametrize.items():
        sets = [wider for held in sets for wider in _widened(held, name, spec, claim, functions)]
    if not sets:
        raise VacuousError("the parameters have no values", where=claim.where)
    return sets


def _widened(
    held: ParameterSet, name: str, spec: Any, claim: Claim, functions: Functions
) -> Iterator[ParameterSet]:
    if held.unavailable is not None:
        yield held
        return
    try:
        values = _values(name, spec, held.values, claim.where, functions)
    except Unavailable as missing:
        values = [missing]
    for index, value in enumerate(values):
        if isinstance(value, Unavailable):
            labels = {**held.labels, name: label_of(value, _slug(value.missing))}
            yield ParameterSet(held.values, labels, value)
        else:
            labels = {**held.labels, name: label_of(value, f"{name}{index}")}
            yield ParameterSet({**held.values, name: value}, labels)


def _values(
    name: str, spec: Any, earlier: Mapping[str, Any], where: Where, functions: Functions
) -> Sequence[Any]:
    if not isinstance(spec, str):
        return list(spec)
    call = _parsed(name, spec, where)
    function = functions.get(call.func.id)  # type: ignore[attr-defined]
    if function is None:
        called = call.func.id  # type: ignore[attr-defined]
        raise unknown("function", called, functions, where, "pytest_contracts_parameters")
    arguments = [_argument(node, spec, earlier, where) for node in call.args]
    keywords = {k.arg: _argument(k.value, spec, earlier, where) for k in call.keywords if k.arg}
    try:
        return list(function(*arguments, **keywords))
    except (ContractError, Unavailable):
        raise
    except Exception as error:
        raise ContractBindingError(
            f"parameter {name!r}: {spec} raised {type(error).__name__}: {error}", where=where
        ) from error


def _parsed(name: str, spec: str, where: Where) -> ast.Call:
    try:
        tree = ast.parse(spec.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if (
        not isinstance(tree, ast.Call)
        or not isinstance(tree.func, ast.Name)
        or any(keyword.arg is None for keyword in tree.keywords)
    ):
        raise ContractSyntaxError(
            f"parameter {name!r}: {spec!r} is neither a list nor one call",
            where=where,
            hint='For example [1, 2], "models()" or "layers(model)".',
        )
    return tree


def _argument(node: ast.expr, spec: str, earlier: Mapping[str, Any], where: Where) -> Any:
    if isinstance(node, ast.Name):
        if node.id in earlier:
            return earlier[node.id]
        raise ContractBindingError(
            f"{spec}: {node.id!r} is no earlier parameter",
            where=where,
            hint=f"Parameters so far: {', '.join(earlier) or 'none'}.",
        )
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ContractSyntaxError(
            f"{spec}: an argument is neither a name nor a literal", where=where
        ) from None


def label_of(value: Any, otherwise: str) -> str:
    """Return the word for a value in a node id."""
    if isinstance(value, str | int | float | bool):
        return _slug(str(value)) or otherwise
    for attribute in ("id", "name", "__name__"):
        word = getattr(value, attribute, None)
        if isinstance(word, str) and word:
            return _slug(word)
    return otherwise


def _slug(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text.strip())[:60]
