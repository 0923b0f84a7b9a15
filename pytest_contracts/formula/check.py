"""What can be known about a formula before it runs: its names, its calls, its shapes.

Shapes are symbolic: ``x: [n]`` and ``w: [m]`` do not add, since n and m may differ. What cannot be
inferred is let pass; evaluation decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.shapes import Length, Shape, differ, fitting, misfit, shape_text
from pytest_contracts.formula.tree import (
    Array,
    Binary,
    Call,
    Compare,
    Conditional,
    Constant,
    Definition,
    Dots,
    Each,
    Expr,
    Index,
    Interval,
    Local,
    Members,
    Name,
    Number,
    Quantifier,
    Slice,
    Unary,
    children,
)
from pytest_contracts.suggesting import did_you_mean

Known: TypeAlias = Shape | Definition
"""A value's shape (None: unknown), or the definition of an equation."""


def check(expr: Expr, names: Iterable[str] | Mapping[str, Known]) -> None:
    """Check that every name is known, every call has its arguments, and shapes fit.

    ``names`` gives the variables' shapes and the equations' definitions; names alone check less.

    Raises:
        FormulaError: something does not fit; ``offset`` is the place.
    """
    shape_of(expr, dict(names) if isinstance(names, Mapping) else dict.fromkeys(names))


def shape_of(expr: Expr, known: Mapping[str, Known]) -> Shape:
    """Return the shape of an expression's value, None where only its values decide.

    Raises:
        FormulaError: something does not fit; ``offset`` is the place.
    """
    return _Checker().shape(expr, known)


class _Checker:
    def shape(self, node: Expr, known: Mapping[str, Known]) -> Shape:
        match node:
            case Number() | Constant():
                return ()
            case Name():
                return self.name(node, known)
            case Unary(operand=operand):
                return self.shape(operand, known)
            case Binary(operator="@"):
                return self.product(node, known)
            case Binary(left=left, right=right):
                return fitting(self.shape(left, known), self.shape(right, known), node)
            case Compare():
                return self.comparison(node, known)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                self.shape(condition, known)
                first, second = self.shape(then, known), self.shape(otherwise, known)
                return first if first == second else None
            case Call():
                return self.call(node, known)
            case Index():
                return self.index(node, known)
            case Array(items=items):
                shapes = [self.shape(item, known) for item in items]
                return (len(items), *shapes[0]) if shapes and shapes[0] is not None else None
            case Each() | Quantifier():
                domain = self.shape(node.domain, known)
                item = domain[1:] if domain else ()
                inner = {**known, node.variable: item if domain is not None else None}
                self.shape(node.body, inner)
                return () if isinstance(node, Quantifier) else None
            case Local() | Definition():
                return self.definitions(node, known)
        for child in children(node):
            self.shape(child, known)
        return None

    def name(self, node: Name, known: Mapping[str, Known]) -> Shape:
        if node.id not in known:
            if node.id in LIBRARY:
                message = f"'{node.id}' is a function; call it"
                raise FormulaError(message, offset=node.offset)
            raise _unknown("name", node.id, known, node.offset)
        shape = known[node.id]
        if isinstance(shape, Definition):
            raise FormulaError(f"'{node.id}' is an equation; call it", offset=node.offset)
        return shape

    def definitions(self, node: Local | Definition, known: Mapping[str, Known]) -> Shape:
        scope = dict(known)
        if isinstance(node, Definition):
            scope |= {name: scope.get(name) for name in node.parameters}
            # A parameter is a value, even where an equation of the same name exists.
            scope |= {n: None for n in node.parameters if isinstance(scope[n], Definition)}
            return self.shape(node.body, scope)
        for definition in node.definitions:
            scope[definition.name] = definition if definition.parameters else None
        for definition in node.definitions:
            inner = {**scope, **dict.fromkeys(definition.parameters)}
            shape = self.shape(definition.body, inner)
            if not definition.parameters:  # known to those that follow
                scope[definition.name] = shape
        return self.shape(node.body, scope)

    def comparison(self, node: Compare, known: Mapping[str, Known]) -> Shape:
        left = self.shape(node.first, known)
        result: Shape = left
        for operator, operand in node.rest:
            if operator in ("in", "not in"):
                if isinstance(operand, Interval | Members):
                    for bound in children(operand):
                        result = fitting(result, self.shape(bound, known), operand)
                else:
                    self.shape(operand, known)
                continue
            right = self.shape(operand, known)
            exact = operator in ("==", "!=", "approx")
            if exact and left and right and len(left) != len(right):
                raise misfit(left, right, node)
            result = fitting(result, fitting(left, right, node), node)
            left = right
        return result

    def call(self, node: Call, known: Mapping[str, Known]) -> Shape:
        name = node.function
        shapes = [self.shape(argument, known) for argument in node.arguments]
        for _, value in node.keywords:
            self.shape(value, known)
        if name in known:
            target = known[name]
            if isinstance(target, Definition):
                _arity(node, len(target.parameters), len(target.parameters))
            elif target is not None:
                raise FormulaError(f"'{name}' is a value, not a function", offset=node.offset)
            return None
        function = LIBRARY.get(name)
        if function is None:
            raise _unknown("function", name, [*known, *LIBRARY], node.offset)
        if node.keywords and not function.keywords:
            raise FormulaError(f"'{name}' takes no keywords", offset=node.offset)
        each = any(isinstance(argument, Each) for argument in node.arguments)
        if each and (not function.reduces or len(node.arguments) > 1):
            raise FormulaError(f"'{name}' does not reduce over 'for'", offset=node.offset)
        _arity(node, function.minimum, function.maximum)
        return None if each else function.shape(node, shapes)

    def product(self, node: Binary, known: Mapping[str, Known]) -> Shape:
        left, right = self.shape(node.left, known), self.shape(node.right, known)
        if left is None or right is None:
            return None
        if not left or not right:
            message = "'@' needs arrays on both sides; '·' multiplies elementwise"
            raise FormulaError(message, offset=node.offset)
        inner, depth = left[-1], right[-2] if len(right) > 1 else right[0]
        if differ(inner, depth):
            message = f"shapes {shape_text(left)} and {shape_text(right)} do not fit '@'"
            raise FormulaError(f"{message}: {inner} is not {depth}", offset=node.offset)
        rows = left[:-1]
        return rows if len(right) == 1 else (*rows[:-1], *rows[-1:], right[-1])

    def index(self, node: Index, known: Mapping[str, Known]) -> Shape:
        base = self.shape(node.base, known)
        parts: list[Length | Slice] = []
        for item in node.items:
            self.shape(item, known)
        if base is None:
            return None
        named = [item for item in node.items if not isinstance(item, Dots)]
        if len(named) > len(base):
            message = f"{len(named)} indices into an array of {len(base)} axes, {shape_text(base)}"
            raise FormulaError(message, offset=node.offset)
        axis = 0
        for item in node.items:
            if isinstance(item, Dots):
                skipped = len(base) - len(named)
                parts += base[axis : axis + skipped]
                axis += skipped
                continue
            if isinstance(item, Slice):
                whole = item == Slice()
                parts.append(base[axis] if whole else None)
            elif self.shape(item, known) != ():
                return None
            axis += 1
        return (*(part for part in parts if not isinstance(part, Slice)), *base[axis:])


def _arity(node: Call, least: int, most: int | None) -> None:
    given = len(node.arguments)
    if given < least or (most is not None and given > most):
        if least == most:
            expected = str(least)
        else:
            expected = f"at least {least}" if most is None else f"{least} to {most}"
        plural = "" if expected == "1" else "s"
        message = f"'{node.function}' takes {expected} argument{plural}, not {given}"
        raise FormulaError(message, offset=node.offset)


def _unknown(what: str, name: str, known: Iterable[str], offset: int) -> FormulaError:
    known = sorted(set(known))
    hint = did_you_mean(name, known) or f"Known: {', '.join(known[:20])}."
    return FormulaError(f"unknown {what} '{name}'", offset=offset, hint=hint)
