"""Bound variables: what ``x_i`` means under a quantifier, and what ``for all i`` ranges over."""

from __future__ import annotations

from pytest_contracts.formula.tree import (
    Call,
    Dots,
    Expr,
    Index,
    Name,
    Number,
    Unary,
    binder,
    names,
    rebuild,
    walk,
)


def bind_subscripts(body: Expr, variable: str) -> Expr:
    """Read ``x_i`` as ``x[i]`` where ``i`` is bound; elsewhere ``d_k`` stays a name."""
    suffix = f"_{variable}"
    if isinstance(body, Name):
        if body.id.endswith(suffix) and len(body.id) > len(suffix):
            base = Name(body.id[: -len(suffix)], offset=body.offset)
            return Index(base, (Name(variable, offset=body.offset),), offset=body.offset)
        return body
    scope = binder(body)
    if scope is not None and variable in scope[0]:
        return body
    return rebuild(body, lambda child: bind_subscripts(child, variable))


def implied_domain(body: Expr, variable: str) -> Expr | None:
    """Return the range of the first axis that ``variable`` indexes, None if it indexes none."""
    for node in walk(body):
        if not isinstance(node, Index):
            continue
        for position, item in enumerate(node.items):
            if item != Name(variable) or variable in names(node.base):
                continue
            if any(isinstance(other, Dots) for other in node.items[:position]):
                position -= len(node.items)
            return Call("range", (length_of(node.base, position),), offset=node.offset)
    return None


def length_of(base: Expr, axis: int) -> Expr:
    """Return the expression for an axis's length; a negative axis counts from the end."""
    if axis == 0:
        return Call("len", (base,), offset=base.offset)
    number: Expr = Number(abs(axis))
    place = number if axis > 0 else Unary("-", number)
    return Index(Call("shape", (base,), offset=base.offset), (place,), offset=base.offset)
