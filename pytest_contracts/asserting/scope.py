"""The names of one function: what is constant, and what a loop fills that may never turn.

``failures = []``, a loop that appends to it, ``assert not failures``: over no files the assertion
holds, and nothing was looked at. Such an assertion counts when the loop turned.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_contracts.asserting.meaning import (
    Comprehension,
    Function,
    is_empty,
    is_literal,
    names_of,
    own_nodes,
)

Loop = ast.For | ast.AsyncFor | ast.While
_FILLING = {"append", "extend", "add", "update", "insert", "setdefault"}
_BRANCHES = (ast.If, ast.Try, ast.Match, ast.IfExp)


@dataclass(frozen=True)
class Store:
    """One place that gives a name a value, or puts something into it."""

    value: ast.expr | None
    loop: Loop | None = None
    branched: bool = False
    puts: bool = False
    """It adds to what is there: ``append``, ``+=``."""


class Filled(NamedTuple):
    """What fills a name; ``surely`` where each turn adds something to it.

    That it is empty is then a claim about the number of turns.
    """

    by: list[Loop | Comprehension]
    surely: bool


@dataclass
class Scope:
    """A function's parameters, constants, and names that a loop or a comprehension fills."""

    parameters: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()
    filled: dict[str, Filled] = field(default_factory=dict)

    @classmethod
    def of(cls, node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef, outer: Scope) -> Scope:
        """Return the scope of a function, or of a module."""
        parameters: frozenset[str] = frozenset()
        if isinstance(node, Function):
            arguments = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
            parameters = frozenset(argument.arg for argument in arguments)
        stores: dict[str, list[Store]] = {}
        for name, store in _stores(node.body, None, False):
            stores.setdefault(name, []).append(store)
        elsewhere = {
            name
            for inner in ast.walk(node)
            if isinstance(inner, ast.Global | ast.Nonlocal)
            for name in inner.names
        }
        known = outer.constants - stores.keys() - parameters
        own: set[str] = set()
        for name, found in stores.items():
            if name not in elsewhere | parameters and all(
                store.value is not None and not store.puts and is_literal(store.value, known | own)
                for store in found
            ):
                own.add(name)
        scope = cls(parameters, known | own)
        for name in stores.keys() - elsewhere - parameters:
            filled = _filled(stores[name], known | own)
            if filled is not None:
                scope.filled[name] = filled
        scope.constants -= scope.filled.keys()
        return scope

    def fillers(self, test: ast.expr) -> list[Loop | Comprehension]:
        """Return the loops and comprehensions that an assertion is about, and nothing else."""
        within = list(_comprehensions(test))
        names = _names_outside(test, self.constants, within) - self.parameters
        if names - self.filled.keys():
            return []
        filled = [self.filled[name] for name in names]
        filled += [Filled([node], surely=not _filters(node)) for node in within]
        if _is_emptiness(test) and any(part.surely for part in filled):
            return []
        return [filler for part in filled for filler in part.by]


def _filled(stores: list[Store], known: frozenset[str]) -> Filled | None:
    """Return what fills a name: loops after a first constant, or the one comprehension it is."""
    if len(stores) == 1 and isinstance(stores[0].value, Comprehension):
        comprehension = stores[0].value
        return Filled([comprehension], surely=not _filters(comprehension))
    first = [store for store in stores if store.loop is None]
    later = [store for store in stores if store.loop is not None]
    begins = all(
        store.value is not None
        and not store.puts
        and (is_empty(store.value) or is_literal(store.value, known))
        for store in first
    )
    if not first or not later or not begins:
        return None
    loops: list[Loop | Comprehension] = [store.loop for store in later if store.loop is not None]
    return Filled(loops, surely=any(store.puts and not store.branched for store in later))


def _filters(comprehension: Comprehension) -> bool:
    return any(clause.ifs for clause in comprehension.generators)


def _comprehensions(test: ast.expr) -> Iterator[Comprehension]:
    for node in ast.walk(test):
        if isinstance(node, Comprehension):
            yield node


def _names_outside(
    test: ast.expr, constants: frozenset[str], comprehensions: list[Comprehension]
) -> set[str]:
    inside = {id(node) for comprehension in comprehensions for node in ast.walk(comprehension)}
    loads = (node for node in ast.walk(test) if isinstance(node, ast.Name))
    return {name for node in loads if id(node) not in inside for name in names_of(node, constants)}


def _is_emptiness(test: ast.expr) -> bool:
    """Tell whether an assertion is that something is empty: ``not x``, ``x == []``, or zero."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return not isinstance(test.operand, ast.Call)
    if isinstance(test, ast.Compare):
        return any(
            is_empty(part) or (isinstance(part, ast.Constant) and part.value == 0)
            for part in (test.left, *test.comparators)
        )
    return False


def _stores(body: list[ast.stmt], loop: Loop | None, branched: bool) -> Iterator[tuple[str, Store]]:
    for statement in body:
        yield from _stores_of(statement, loop, branched)
        if isinstance(statement, Function | ast.ClassDef):
            continue
        inner = statement if isinstance(statement, Loop) else loop
        turns = isinstance(statement, Loop)
        below = (branched and not turns) or isinstance(statement, _BRANCHES)
        for blocks in _blocks(statement):
            yield from _stores(blocks, inner, below)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(statement):
        if not isinstance(value, list) or not value:
            continue
        if isinstance(value[0], ast.stmt):
            yield value
        elif isinstance(value[0], ast.ExceptHandler | ast.match_case):
            yield from (part.body for part in value)


def _stores_of(
    statement: ast.stmt, loop: Loop | None, branched: bool
) -> Iterator[tuple[str, Store]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, value, loop, branched)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, Store(value, loop, branched)
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            counts = isinstance(value, ast.Constant | ast.List)
            yield name, Store(None, loop, branched or not counts, puts=True)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=word))):
            if word in _FILLING:
                yield name, Store(None, loop, branched, puts=True)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from ((a.asname or a.name.partition(".")[0], Store(None)) for a in aliases)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, Store(None)
        case ast.For(target=target) | ast.AsyncFor(target=target):
            yield from ((name, Store(None)) for name in _bound(target))
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from ((name, Store(None)) for name in _bound(item.optional_vars))
    for node in own_nodes([statement]) if not _blocks_in(statement) else ():
        if isinstance(node, ast.NamedExpr):
            yield node.target.id, Store(None)


def _blocks_in(statement: ast.stmt) -> bool:
    return next(_blocks(statement), None) is not None


def _targets(
    target: ast.expr, value: ast.expr, loop: Loop | None, branched: bool
) -> Iterator[tuple[str, Store]]:
    if isinstance(target, ast.Name):
        yield target.id, Store(value, loop, branched)
    elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        yield target.value.id, Store(None, loop, branched, puts=True)
    elif (
        isinstance(target, ast.Tuple)
        and isinstance(value, ast.Tuple)
        and len(target.elts) == len(value.elts)
    ):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _targets(one, other, loop, branched)
    else:
        yield from ((name, Store(None)) for name in _bound(target))


def _bound(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
