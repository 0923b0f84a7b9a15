"""A reading's names and words to what a binding makes of them, or the reason why they stay open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_contracts.formula import LIBRARY
from pytest_contracts.formula.reading.wild.indices import index_range
from pytest_contracts.formula.tree import (
    Array,
    Binary,
    Call,
    Compare,
    Constant,
    Definition,
    Dots,
    Each,
    Expr,
    Index,
    Logic,
    Name,
    Number,
    Quantifier,
    Restrict,
    Words,
    binder,
    names,
    rebuild,
    walk,
)


class Unresolved(Exception):
    """Something in a formula has no meaning here; the message says what."""


@dataclass(frozen=True)
class Scope:
    """What the names and words of a contract's formulas stand for."""

    variables: Mapping[str, Any]
    callables: frozenset[str]
    aliases: Mapping[str, Definition] = field(default_factory=dict)
    conditions: Mapping[str, Expr] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Names that a binding gives to what cannot be imported."""


def resolve(tree: Expr, scope: Scope, *, tolerance: bool) -> Expr:
    """Return a formula in which every name and word has a meaning.

    ``tolerance`` tells whether the claim states one: then ``eps`` is it.

    Raises:
        Unresolved: something has none.
    """
    resolved = _Resolver(scope, tolerance).node(tree, frozenset())
    _refuse_open(resolved, scope, tolerance)
    return resolved


def loosened(tree: Expr) -> Expr:
    """Return a claim whose equalities hold within its tolerance; guards stay exact."""
    match tree:
        case Compare(first=first, rest=rest):
            loose: Any = tuple(("approx" if op == "==" else op, side) for op, side in rest)
            return Compare(first, loose, offset=tree.offset)
        case Logic(operator="implies", operands=(guard, claim)):
            return Logic("implies", (guard, loosened(claim)), offset=tree.offset)
        case Logic(operator="and"):
            return rebuild(tree, loosened)
        case Quantifier(kind="forall", variable=variable, domain=domain, body=body):
            return Quantifier("forall", variable, domain, loosened(body), offset=tree.offset)
        case Restrict(claim=claim, mask=mask):
            return Restrict(loosened(claim), mask, offset=tree.offset)
    return tree


def broadcast(tree: Expr) -> Expr:
    """Return ``a − b = 0`` for ``a = b (broadcast)``: an equality demands one shape of both."""
    match tree:
        case Compare(first=first, rest=(("==", right),)):
            difference = Binary("-", first, right, offset=tree.offset)
            return Compare(difference, (("==", Number(0)),), offset=tree.offset)
    return tree


class _Resolver:
    def __init__(self, scope: Scope, tolerance: bool) -> None:
        self.scope = scope
        self.tolerance = tolerance

    def node(self, node: Expr, bound: frozenset[str]) -> Expr:
        if isinstance(node, Words):
            meant = self.scope.conditions.get(node.text)
            return node if meant is None else _placed(meant, node.offset)
        if isinstance(node, Name):
            return self.name(node, bound)
        scope = binder(node)
        inner = bound | frozenset(scope[0] if scope is not None else ())
        node = rebuild(node, lambda child: self.node(child, inner))
        match node:
            case Call():
                return self.call(node, bound)
            case Quantifier():
                return self.quantifier(node)
            case Each(variable=variable, domain=Words(), body=body):
                over = index_range(body, variable)
                return node if over is None else Each(variable, over, body, offset=node.offset)
            case Logic(operator="implies", operands=(Constant(name="true"), claim)):
                return claim
        return node

    def name(self, node: Name, bound: frozenset[str]) -> Expr:
        if node.id in bound or node.id in self.scope.variables:
            return node
        alias = self.scope.aliases.get(node.id)
        if alias is not None and not alias.parameters:
            return self.inlined(alias, {}, bound, node.offset)
        if node.id in ("eps", "epsilon") and self.tolerance:
            return Name("tolerance", offset=node.offset)
        return node

    def call(self, node: Call, bound: frozenset[str]) -> Expr:
        alias = self.scope.aliases.get(node.function)
        if node.function in bound or alias is None:
            return self.magnitude(node) if node.function == "magnitude" else node
        if isinstance(alias.body, Name) and not alias.parameters:
            return Call(alias.body.id, node.arguments, node.keywords, offset=node.offset)
        given = dict(zip(alias.parameters, node.arguments, strict=False)) | dict(node.keywords)
        if tuple(given) != alias.parameters or len(node.arguments) > len(alias.parameters):
            raise Unresolved(f"{node.function} is bound as {alias.name}{alias.parameters}")
        return self.inlined(alias, given, bound, node.offset)

    def inlined(
        self, alias: Definition, given: Mapping[str, Expr], bound: frozenset[str], offset: int
    ) -> Expr:
        if (names(alias.body) - given.keys()) & bound:
            raise Unresolved(f"{alias.name} would take a bound variable for its own")
        return _substituted(_placed(alias.body, offset), given)

    def magnitude(self, node: Call) -> Expr:
        """Read ``|x|`` as an absolute value where x is a number."""
        inner = node.arguments[0]
        rank = None
        match inner:
            case Name(id=name):
                rank = self.rank(name)
            case Index(base=Name(id=name), items=items):
                whole = self.rank(name)
                rank = None if whole is None else whole - len(items)
        return Call("abs", node.arguments, offset=node.offset) if rank == 0 else node

    def rank(self, name: str) -> int | None:
        spec = self.scope.variables.get(name)
        if isinstance(spec, Mapping):
            shape = spec.get("shape")
            if shape is not None:
                return len(shape) if isinstance(shape, tuple) else None
            return 0 if "dtype" in spec else None
        if isinstance(spec, str):
            return 0 if ".." in spec or spec.startswith("{") else None
        return 0 if isinstance(spec, int | float) else None

    def quantifier(self, node: Quantifier) -> Expr:
        """Drop a quantifier over inputs, which are drawn: the claim is made for each anyway."""
        if not isinstance(node.domain, Words):
            return node
        if node.kind == "forall" and node.variable in self.scope.variables:
            return node.body
        over = index_range(node.body, node.variable)
        if over is None:
            return node
        return Quantifier(node.kind, node.variable, over, node.body, offset=node.offset)


def _placed(node: Expr, offset: int) -> Expr:
    """Return what a binding says as if it stood where the name stands that it explains."""
    return replace(rebuild(node, lambda child: _placed(child, offset)), offset=offset)


def _substituted(node: Expr, given: Mapping[str, Expr]) -> Expr:
    if isinstance(node, Name):
        return given.get(node.id, node)
    return rebuild(node, lambda child: _substituted(child, given))


def _refuse_open(tree: Expr, scope: Scope, tolerance: bool) -> None:
    words = [node.text for node in walk(tree) if isinstance(node, Words)]
    said = list(dict.fromkeys(text for text in words if text))
    if said:
        raise Unresolved(f"in words only: {', '.join(f'“{text}”' for text in said)}")
    if words:
        raise Unresolved("what a variable ranges over is not said")
    for node in walk(tree):
        if isinstance(node, Array) and any(isinstance(item, Dots) for item in node.items):
            raise Unresolved("'...' stands for items left out")
        if isinstance(node, Call) and node.function == "magnitude":
            raise Unresolved("|…| may be an absolute value or a number of items")
        if isinstance(node, Call) and any(k not in ("axis", "keepdims") for k, _ in node.keywords):
            raise Unresolved(f"{node.function} takes arguments by name")
    known = scope.variables.keys() | scope.callables | ({"tolerance"} if tolerance else set())
    values = names(tree, calls=False) - known
    calls = names(tree) - names(tree, calls=False) - known - LIBRARY.keys()
    missing = sorted(values | calls)
    cannot = [scope.foreign[name] for name in missing if name in scope.foreign]
    if cannot:
        raise Unresolved(f"cannot import {cannot[0]}")
    if missing == ["tolerance"]:
        raise Unresolved("it says ε, but states no tolerance")
    if missing:
        shown = ["ε" if name == "tolerance" else name for name in missing]
        raise Unresolved(f"no binding for {', '.join(shown)}")
