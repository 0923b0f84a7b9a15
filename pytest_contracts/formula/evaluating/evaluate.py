"""The value of an expression: NumPy semantics in one working precision, bounded in time and size.

Names resolve to bound variables, then to ``env`` (variables, constants, equations), then to the
library. Here a comparison of arrays is elementwise; ``judge`` reads it as a claim about all.
An equation is called with plain variables as they are and with computed arguments in the working
precision; casting to the implementation's own types is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.evaluating.budget import MAX_STEPS, MULTIPLICATIONS_PER_ELEMENT
from pytest_contracts.formula.evaluating.calls import Calls
from pytest_contracts.formula.evaluating.scopes import Lazy
from pytest_contracts.formula.library import LIBRARY
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
    Logic,
    Members,
    Name,
    Number,
    Quantifier,
    Restrict,
    Slice,
    Unary,
)
from pytest_contracts.formula.values import (
    brief,
    ensure_size,
    host,
    integer,
    integers,
    is_numeric,
    number,
)

_CONSTANTS = {"true": True, "false": False, "inf": float("inf"), "pi": float(np.pi)}


class Evaluator(Calls):
    """Evaluates trees over one environment."""

    def value(self, node: Expr) -> Any:
        """Return the value of a node."""
        self.steps -= 1
        if self.steps < 0:
            raise FormulaError(f"the evaluation takes more than {MAX_STEPS} steps")
        return _VALUES[type(node)](self, node)

    def numeric(self, node: Expr) -> Any:
        """Return the value of a node as an operand of arithmetic."""
        value = self.value(node)
        try:
            return number(value, self.precision)
        except FormulaError as error:
            if isinstance(node, Name) and callable(value):
                message = f"'{node.id}' is a function; call it"
                raise FormulaError(message, offset=node.offset) from None
            raise FormulaError(error.message, offset=node.offset) from None

    def _number(self, node: Number) -> Any:
        return node.value

    def _constant(self, node: Constant) -> Any:
        return _CONSTANTS[node.name]

    def _name(self, node: Name) -> Any:
        if node.id in self.bound:
            value = self.bound[node.id]
            if isinstance(value, Lazy):
                value = value.get(self, node.id)
            return value
        if node.id in self.env:
            return host(self.env[node.id])
        hint = "it is a library function; call it" if node.id in LIBRARY else None
        raise FormulaError(f"unknown name '{node.id}'", offset=node.offset, hint=hint)

    def _unary(self, node: Unary) -> Any:
        if node.operator == "not":
            return np.logical_not(self.truths(node.operand))[()]
        return self.made(arithmetic.negative(self.numeric(node.operand), self.precision))

    def _binary(self, node: Binary) -> Any:
        left, right = self.numeric(node.left), self.numeric(node.right)
        apply = arithmetic.OPERATORS[node.operator]
        value = self.placed(node, apply, left, right, self.precision)
        if node.operator == "@":
            terms = np.size(value) * left.shape[-1]
            self.budget.spend(terms // MULTIPLICATIONS_PER_ELEMENT)
        return self.made(value)

    def _index(self, node: Index) -> Any:
        base = self.value(node.base)
        if isinstance(base, list | tuple) and is_numeric(base):
            base = np.asarray(base)
        if not isinstance(base, np.ndarray) or not base.ndim:
            message = f"only an array can be indexed, not {brief(base)}"
            raise FormulaError(message, offset=node.offset)
        items = tuple(self._item(item) for item in node.items)
        self.placed(node, _ensure_indexable, base, items)
        try:
            return self.made(base[items])
        except (IndexError, OverflowError):
            written = ", ".join(":" if isinstance(i, slice) else brief(i) for i in items)
            message = f"index [{written}] is outside an array of shape {list(base.shape)}"
            raise FormulaError(message, offset=node.offset) from None

    def _item(self, item: Expr) -> Any:
        if isinstance(item, Dots):
            return Ellipsis
        if isinstance(item, Slice):
            limits = [
                None if part is None else integer(self.value(part), "a slice's bound")
                for part in (item.start, item.stop, item.step)
            ]
            if limits[2] == 0:
                raise FormulaError("the step of a slice is zero", offset=item.offset)
            return slice(*limits)
        value = self.value(item)
        if type(value) is int:
            return value
        index = integers(value, "an index")
        return index if index.ndim else int(index)

    def _array(self, node: Array) -> Any:
        values = [self.numeric(item) for item in node.items]
        if not values:
            return np.zeros(0, dtype=np.int64)
        if not any(np.ndim(value) for value in values):
            return self.scalars(values)
        self.placed(node, ensure_size, sum(np.size(value) for value in values))
        return self.made(self.placed(node, number, values, self.precision))

    def _local(self, node: Local) -> Any:
        scope = dict(self.bound)
        scope.update({d.name: Lazy(d, scope) for d in node.definitions})
        with self.scope({}, scope):
            return self.value(node.body)

    def _misplaced(self, node: Expr) -> Any:
        what = {
            Restrict: "a 'where' guard belongs to a claim",
            Members: "a set stands only right of 'in'",
            Interval: "an interval stands only right of 'in'",
            Each: "'for' belongs to a reduction",
            Definition: "a definition is no value",
        }.get(type(node), "a slice stands only in an index")
        raise FormulaError(what, offset=node.offset)


def _ensure_indexable(base: np.ndarray[Any, Any], items: tuple[Any, ...]) -> None:
    """Refuse an index by arrays whose result would be too large."""
    chosen = [item.size for item in items if isinstance(item, np.ndarray)]
    if not chosen:
        return
    named = [item for item in items if item is not Ellipsis]
    rest: list[Any] = [slice(None)] * (base.ndim - len(named))
    place = items.index(Ellipsis) if len(named) < len(items) else len(items)
    every = [*items[:place], *rest, *items[place + 1 :]]
    kept = [
        length for length, item in zip(base.shape, every, strict=False) if isinstance(item, slice)
    ]
    ensure_size(max(chosen), *kept)


_VALUES: dict[type[Expr], Callable[[Evaluator, Any], Any]] = {
    Number: Evaluator._number,
    Constant: Evaluator._constant,
    Name: Evaluator._name,
    Unary: Evaluator._unary,
    Binary: Evaluator._binary,
    Compare: Evaluator.compare,
    Logic: Evaluator.logic,
    Conditional: Evaluator.conditional,
    Call: Evaluator.call,
    Index: Evaluator._index,
    Array: Evaluator._array,
    Local: Evaluator._local,
    Quantifier: Evaluator.quantifier,
    Restrict: Evaluator._misplaced,
    Members: Evaluator._misplaced,
    Interval: Evaluator._misplaced,
    Each: Evaluator._misplaced,
    Slice: Evaluator._misplaced,
    Dots: Evaluator._misplaced,
    Definition: Evaluator._misplaced,
}


def evaluate(expr: Expr, env: Mapping[str, Any], *, precision: DTypeLike = np.float64) -> Any:
    """Return the value of an expression.

    ``precision`` is the working precision; float32 gives the *plain evaluation* against which
    the tolerance kind ``noise`` measures.

    Raises:
        FormulaError: a name is unknown, shapes do not fit, or a limit is exceeded.
        Undefined: a comparison with NaN decides the value.
    """
    evaluator = Evaluator(env, precision)
    allowed = evaluator.steps
    with np.errstate(all="ignore"), evaluator.budget.deeper(expr.depth):
        value = evaluator.value(expr)
    evaluator.budget.step(allowed - evaluator.steps)
    return bool(value) if isinstance(value, np.bool_) else value


def as_function(
    definition: Definition,
    env: Mapping[str, Any] | None = None,
    *,
    precision: DTypeLike = np.float64,
) -> Callable[..., Any]:
    """Return the definition as a callable: the oracle of its equation.

    ``env`` holds the constants and other equations that the definition mentions.
    """
    known = dict(env or {})
    parameters = definition.parameters

    def oracle(*arguments: Any) -> Any:
        if len(arguments) != len(parameters):
            raise FormulaError(
                f"'{definition.name}' takes {len(parameters)} arguments, not {len(arguments)}"
            )
        bound = known | dict(zip(parameters, arguments, strict=True))
        return evaluate(definition.body, bound, precision=precision)

    oracle.__name__ = oracle.__qualname__ = definition.name
    return oracle
