"""The syntax tree of a formula: frozen nodes, equal when the mathematics is equal.

``offset`` is the place in the source text and takes no part in comparison. No tree is deeper than
``MAX_DEPTH``: a node that would be refuses to exist, so every walk over a tree may recurse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from pytest_contracts.errors import FormulaError

MAX_DEPTH = 64

BinaryOperator = Literal["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "<<", ">>"]
Comparator = Literal["<", "<=", ">", ">=", "==", "!=", "approx", "in", "not in"]
Connective = Literal["and", "or", "implies", "iff"]


@dataclass(frozen=True, slots=True)
class Expr:
    """Base of all nodes."""

    offset: int = field(default=0, compare=False, repr=False, kw_only=True)
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        depth = 1 + max((child.depth for child in children(self)), default=0)
        if depth > MAX_DEPTH:
            raise FormulaError(f"the formula nests deeper than {MAX_DEPTH} levels")
        object.__setattr__(self, "depth", depth)


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A literal."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    """``true``, ``false``, ``inf`` or ``pi``."""

    name: Literal["true", "false", "inf", "pi"]


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A variable, a constant of the contract, or a bound variable."""

    id: str


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """Negation of a number or of a claim."""

    operator: Literal["-", "not"]
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """Arithmetic and bit operations, elementwise except ``@``."""

    operator: BinaryOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """A chain such as ``0 < x <= 1``: adjacent pairs are compared, all must hold."""

    first: Expr
    rest: tuple[tuple[Comparator, Expr], ...]


@dataclass(frozen=True, slots=True)
class Logic(Expr):
    """``and``/``or`` over two or more operands, ``implies``/``iff`` over exactly two."""

    operator: Connective
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Expr):
    """``then if condition else otherwise``."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """An equation or a library function applied to arguments."""

    function: str
    arguments: tuple[Expr, ...]
    keywords: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Index(Expr):
    """``base[items]``; items may be slices and ``...``."""

    base: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Slice(Expr):
    """``start:stop:step`` inside an index."""

    start: Expr | None = None
    stop: Expr | None = None
    step: Expr | None = None


@dataclass(frozen=True, slots=True)
class Dots(Expr):
    """``...`` inside an index: all the axes not named."""


@dataclass(frozen=True, slots=True)
class Array(Expr):
    """An array literal ``[a, b]`` (a tuple ``(a, b)`` is the same)."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Members(Expr):
    """A set ``{a, b}``, right of ``in`` or as a quantifier's domain."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Interval(Expr):
    """``[a, b]``, ``(a, b)`` and their mixtures, right of ``in``."""

    low: Expr
    high: Expr
    closed_low: bool
    closed_high: bool


@dataclass(frozen=True, slots=True)
class Each(Expr):
    """``body for variable in domain``: the argument of a reduction."""

    variable: str
    domain: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Quantifier(Expr):
    """``forall``/``exists`` over a bounded domain."""

    kind: Literal["forall", "exists"]
    variable: str
    domain: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Restrict(Expr):
    """``claim where mask``: the claim about the elements that the mask selects."""

    claim: Expr
    mask: Expr


@dataclass(frozen=True, slots=True)
class Definition(Expr):
    """``name(parameters) = body``; parameters are empty for a plain local value."""

    name: str
    parameters: tuple[str, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Local(Expr):
    """``body where name = value; …``: local definitions, each usable in the others."""

    body: Expr
    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class Words(Expr):
    """A condition or a domain in words, which nothing can evaluate; empty: any value at all.

    Only the wild notation yields it; a binding says what the words mean.
    """

    text: str = ""


_Node = TypeVar("_Node", bound=Expr)


def _expressions(value: Any) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _expressions(item)


def children(node: Expr) -> Iterator[Expr]:
    """Yield the direct sub-expressions in source order."""
    for name in _members(node):
        yield from _expressions(getattr(node, name))


_MEMBERS: dict[type[Expr], tuple[str, ...]] = {}


def _members(node: Expr) -> tuple[str, ...]:
    """Return the names of what a node consists of; asked for so often that it is kept."""
    kind = type(node)
    if kind not in _MEMBERS:
        _MEMBERS[kind] = tuple(f.name for f in fields(kind) if f.name not in ("offset", "depth"))
    return _MEMBERS[kind]


def walk(node: Expr) -> Iterator[Expr]:
    """Yield the node and everything below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


def rebuild(node: _Node, change: Callable[[Expr], Expr]) -> _Node:
    """Return the node with ``change`` applied to each direct sub-expression."""

    def applied(value: Any) -> Any:
        if isinstance(value, Expr):
            return change(value)
        if isinstance(value, tuple):
            return tuple(applied(item) for item in value)
        return value

    return replace(node, **{name: applied(getattr(node, name)) for name in _members(node)})


def binder(node: Expr) -> tuple[tuple[str, ...], tuple[Expr, ...], tuple[Expr, ...]] | None:
    """Return (names bound, sub-expressions inside their scope, outside it), None if none bind."""
    if isinstance(node, Each | Quantifier):
        return (node.variable,), (node.body,), (node.domain,)
    if isinstance(node, Local):
        return tuple(d.name for d in node.definitions), (node.body, *node.definitions), ()
    if isinstance(node, Definition):
        return node.parameters, (node.body,), ()
    return None


def names(node: Expr, *, calls: bool = True) -> frozenset[str]:
    """Return every unbound name: values, and with ``calls`` the functions that are called."""
    scope = binder(node)
    if scope is not None:
        bound, inside, outside = scope
        free = frozenset().union(*(names(part, calls=calls) for part in inside)) - set(bound)
        return free.union(*(names(part, calls=calls) for part in outside))
    found: frozenset[str] = frozenset().union(*(names(c, calls=calls) for c in children(node)))
    if isinstance(node, Name):
        return found | {node.id}
    if calls and isinstance(node, Call):
        return found | {node.function}
    return found
