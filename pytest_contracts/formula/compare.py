"""Whether two formulas make the same claim: the same tree, whatever bound variables are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_contracts.formula.tree import (
    Call,
    Definition,
    Each,
    Expr,
    Local,
    Name,
    Quantifier,
    rebuild,
)


def same(first: Expr, second: Expr) -> bool:
    """Tell whether two trees are equal up to the names of bound variables."""
    return canonical(first) == canonical(second)


def canonical(expr: Expr, bound: Mapping[str, str] | None = None) -> Expr:
    """Return the tree with its bound variables numbered from the outside in."""
    known = dict(bound or {})

    def inner(node: Expr) -> Expr:
        return canonical(node, known)

    def fresh(name: str) -> str:
        known[name] = f"#{len(known)}"
        return known[name]

    if isinstance(expr, Name):
        return Name(known.get(expr.id, expr.id))
    if isinstance(expr, Call):
        renamed: Any = rebuild(expr, inner)
        return Call(known.get(expr.function, expr.function), renamed.arguments, renamed.keywords)
    if isinstance(expr, Each):
        domain = inner(expr.domain)
        return Each(fresh(expr.variable), domain, inner(expr.body))
    if isinstance(expr, Quantifier):
        domain = inner(expr.domain)
        return Quantifier(expr.kind, fresh(expr.variable), domain, inner(expr.body))
    if isinstance(expr, Local):
        names = [fresh(definition.name) for definition in expr.definitions]
        definitions = tuple(
            Definition(name, *_parts(definition, known))
            for name, definition in zip(names, expr.definitions, strict=True)
        )
        return Local(inner(expr.body), definitions)
    if isinstance(expr, Definition):
        return Definition(expr.name, *_parts(expr, known))
    return rebuild(expr, inner)


def _parts(definition: Definition, bound: Mapping[str, str]) -> tuple[tuple[str, ...], Expr]:
    known = dict(bound)
    for parameter in definition.parameters:
        known[parameter] = f"#{len(known)}"
    parameters = tuple(known[parameter] for parameter in definition.parameters)
    return parameters, canonical(definition.body, known)
