"""What subscripts mean in existing contract files: ``x_{k+1}``, ``block_l(x)``, a free ``i``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.reading.binders import bind_subscripts, length_of
from pytest_contracts.formula.tree import (
    Binary,
    Call,
    Each,
    Expr,
    Index,
    Logic,
    Name,
    Number,
    Quantifier,
    Words,
    binder,
    children,
    names,
    rebuild,
    walk,
)

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_SUMMED = frozenset("ijk")
"""Letters over which a sum without limits runs; t in r_t is a moment."""
_REDUCTIONS = frozenset({"sum", "prod", "mean", "max", "min"})
Kind = Literal["forall", "exists"]
Bound = tuple[str, Expr | None, str]
"""A bound variable, its set where one is given, and the words that say what it is."""
INDICES = frozenset("ijklt")
"""Letters that count something even where nothing says so; r in M_r may be a rank."""


def bind(body: Expr, variable: str) -> Expr:
    """Read ``x_i`` as ``x[i]`` and ``block_l(x)`` as ``block(l, x)`` where the letter is bound."""
    return _bind_functions(bind_subscripts(body, variable), variable)


def _bind_functions(body: Expr, variable: str) -> Expr:
    scope = binder(body)
    if scope is not None and variable in scope[0]:
        return body
    changed = rebuild(body, lambda child: _bind_functions(child, variable))
    suffix = f"_{variable}"
    if isinstance(changed, Call) and changed.function.endswith(suffix):
        family = changed.function.removesuffix(suffix)
        if family:
            index = Name(variable, offset=changed.offset)
            arguments = (index, *changed.arguments)
            return Call(family, arguments, changed.keywords, offset=changed.offset)
    return changed


def index_range(body: Expr, variable: str) -> Expr | None:
    """Return the range on which every ``x[i + c]`` of one axis exists, None if none is indexed."""
    found: tuple[Expr, int] | None = None
    least = most = 0
    for base, axis, offset in _uses(body, variable):
        found = found or (base, axis)
        if found == (base, axis):
            least, most = min(least, offset), max(most, offset)
    if found is None:
        return None
    stop = length_of(*found)
    if most:
        stop = Binary("-", stop, Number(most))
    return Call("range", (Number(-least), stop) if least else (stop,), offset=body.offset)


def _uses(body: Expr, variable: str) -> Iterator[tuple[Expr, int, int]]:
    for node, protected in _places(body, variable):
        if not isinstance(node, Index) or variable in names(node.base):
            continue
        for axis, item in enumerate(node.items):
            offset = _offset(item, variable)
            if offset is not None:
                yield node.base, axis, 0 if protected else offset


def _places(node: Expr, variable: str, protected: bool = False) -> Iterator[tuple[Expr, bool]]:
    """Walk a tree; ``i < n - 1 implies …`` keeps its own right side within bounds."""
    yield node, protected
    guarded = isinstance(node, Logic) and node.operator == "implies"
    for place, part in enumerate(children(node)):
        inside = guarded and place == 1 and variable in names(next(children(node)))
        yield from _places(part, variable, protected or inside)


def _offset(item: Expr, variable: str) -> int | None:
    """Return c of ``i + c``, None for anything else."""
    if item == Name(variable):
        return 0
    match item:
        case Binary(operator="+" | "-" as sign, left=Name(id=name), right=Number(value=int(by))):
            if name == variable:
                return by if sign == "+" else -by
    return None


def close(claim: Expr) -> Expr:
    """Bind the letters that are free in a claim and stand as an index.

    Inside a sum they are summed over, ``Σ t_i·x_i``; elsewhere the claim is meant for all.

    Raises:
        FormulaError: a letter is free both inside a sum and outside.
    """
    claim = _reduced(claim, claim, frozenset())
    free = names(claim, calls=False)
    letters = {
        name
        for node in walk(claim)
        if isinstance(node, Index)
        for item in node.items
        for name in names(item)
        if name in free and _offset(item, name) is not None and _counts(name, node.base, free)
    }
    for letter in sorted(letters, reverse=True):
        body = bind(claim, letter)
        over = index_range(body, letter)
        if over is not None:
            claim = Quantifier("forall", letter, over, body, offset=claim.offset)
    return claim


def _reduced(node: Expr, whole: Expr, bound: frozenset[str]) -> Expr:
    """Read ``sum(w_i)`` as ``sum(w[i] for i in range(len(w)))`` unless ``i`` is bound outside."""
    scope = binder(node)
    inner = bound | frozenset(scope[0] if scope is not None else ())
    limited = isinstance(node, Call) and any(isinstance(a, Each) for a in node.arguments)
    reduces = isinstance(node, Call) and node.function in _REDUCTIONS and node.arguments
    if isinstance(node, Call) and reduces and not limited:
        body = node.arguments[0]
        for letter in sorted(_free_indices(body) - bound, reverse=True):
            if _count(whole, letter) > _count(body, letter):
                message = f"whether '{letter}' is summed over is not clear"
                raise FormulaError(message, offset=node.offset)
            body = bind(body, letter)
            over = index_range(body, letter) or Words()
            body = Each(letter, over, body, offset=node.offset)
        if body is not node.arguments[0]:
            others = node.arguments[1:]
            if others:
                raise FormulaError("which arguments are summed over is not clear", offset=0)
            return Call(node.function, (body,), node.keywords, offset=node.offset)
    return rebuild(node, lambda child: _reduced(child, whole, inner))


def _free_indices(body: Expr) -> frozenset[str]:
    """Return the letters that count something and are free, as an index or as a subscript."""
    found = {
        item.id
        for node in walk(body)
        if isinstance(node, Index)
        for item in node.items
        if isinstance(item, Name)
    }
    free = names(body, calls=False)
    found &= free
    found |= {name[-1] for name in free if name[-2:-1] == "_"}
    return frozenset(found & _SUMMED)


def _count(node: Expr, letter: str) -> int:
    """Count where a letter stands free, as a name or as the subscript of one."""
    scope = binder(node)
    if scope is not None and letter in scope[0]:
        return 0
    here = isinstance(node, Name) and (node.id == letter or node.id.endswith(f"_{letter}"))
    return here + sum(_count(child, letter) for child in children(node))


def _counts(letter: str, base: Expr, free: frozenset[str]) -> bool:
    """Tell whether a letter is an index: by custom, or since ``L_m`` stands beside ``L_{m-1}``."""
    if letter in INDICES:
        return True
    beside = isinstance(base, Name) and f"{base.id}_{letter}" in free
    return letter in LETTERS and beside


def domain(body: Expr, variable: str, nouns: str = "") -> Expr:
    """Return what a bound variable ranges over where no set is given."""
    if nouns:
        return Words(nouns)
    return index_range(body, variable) or Words()


def occurs(variable: str, node: Expr) -> bool:
    """Tell whether a variable occurs, as a name or as the subscript of one."""
    return any(name == variable or name.endswith(f"_{variable}") for name in names(node))


def quantified(kind: Kind, variable: str, over: Expr | None, nouns: str, body: Expr) -> Expr:
    """Return a quantified claim, its variable bound in every subscript.

    Raises:
        FormulaError: the variable is the tolerance.
    """
    if variable == "tolerance":
        raise FormulaError("ε is the tolerance here, not a variable", offset=body.offset)
    body = bind(body, variable)
    ranged = over or domain(body, variable, nouns)
    return Quantifier(kind, variable, ranged, body, offset=body.offset)
