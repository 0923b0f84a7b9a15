"""The value of an expression: NumPy semantics in one working precision, bounded in time and size.

Names resolve to bound variables, then to ``env`` (variables, constants, equations), then to the
library. Here a comparison of arrays is elementwise; ``judge`` reads it as a claim about all.
An equation is called with plain variables as they are and with computed arguments in the working
precision; casting to the implementation's own types is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.shaping import bounds
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
    binder,
    children,
    names,
)
from pytest_contracts.formula.values import (
    Undefined,
    as_array,
    brief,
    contains_nan,
    host,
    integer,
    integers,
    is_numeric,
    number,
)

MAX_STEPS = 300_000

COMPARISONS: Mapping[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_CONNECTIVES: Mapping[str, np.ufunc] = {
    "and": np.logical_and,
    "or": np.logical_or,
    "implies": np.logical_or,
    "iff": np.equal,
}
_CONSTANTS = {"true": True, "false": False, "inf": float("inf"), "pi": float(np.pi)}


class Evaluator:
    """Evaluates trees over one environment; ``steps`` bounds the work of one evaluation."""

    def __init__(self, env: Mapping[str, Any], precision: DTypeLike = np.float64) -> None:
        self.env = env
        self.precision = precision
        self.steps = MAX_STEPS
        self.bound: dict[str, Any] = {}
        self.outside = np.geterr()
        # Calls that do not depend on a loop's variable run once per loop, each occurrence apart:
        # sharing between occurrences would compare an implementation with itself.
        self._loops: dict[int, frozenset[int]] = {}
        self._invariant: frozenset[int] = frozenset()
        self._hoisted: dict[int, Any] = {}

    # -- nodes ----------------------------------------------------------------------------------

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
            if isinstance(value, _Lazy):
                value = value.get(self, node.id)
            return value
        if node.id in self.env:
            return host(self.env[node.id])
        hint = "it is a library function; call it" if node.id in LIBRARY else None
        raise FormulaError(f"unknown name '{node.id}'", offset=node.offset, hint=hint)

    def _unary(self, node: Unary) -> Any:
        if node.operator == "not":
            return np.logical_not(self.truths(node.operand))[()]
        return arithmetic.negative(self.numeric(node.operand), self.precision)

    def _binary(self, node: Binary) -> Any:
        left, right = self.numeric(node.left), self.numeric(node.right)
        return self._placed(node, arithmetic.OPERATORS[node.operator], left, right, self.precision)

    def _placed(self, node: Expr, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except FormulaError as error:
            if error.offset is None:
                raise FormulaError(error.message, offset=node.offset, hint=error.hint) from None
            raise

    def _compare(self, node: Compare) -> Any:
        result: Any = True
        left = self.value(node.first)
        for operator, operand in node.rest:
            right, holds = self.compared(operator, left, operand)
            result = joined(np.logical_and, result, holds)
            left = right
        return result[()]

    def compared(self, operator: str, left: Any, operand: Expr) -> tuple[Any, Any]:
        """Return the right operand's value and the elementwise truth of one comparison."""
        if operator in ("in", "not in"):
            inside = self.member(left, operand)
            return None, inside if operator == "in" else np.logical_not(inside)
        right = self.value(operand)
        return right, self._placed(operand, self.elementwise, operator, left, right)

    def elementwise(self, operator: str, left: Any, right: Any) -> Any:
        """Return the elementwise truth of a comparison.

        Raises:
            Undefined: a NaN is among the operands.
        """
        if not (is_numeric(left) and is_numeric(right)):
            return opaque_comparison(operator, left, right)
        a, b = number(left, self.precision), number(right, self.precision)
        if contains_nan(a) or contains_nan(b):
            raise Undefined("a comparison with NaN")
        arithmetic.broadcast(a, b)
        if operator == "approx":
            with np.errstate(invalid="ignore"):
                distance = np.where(np.equal(a, b), 0.0, np.abs(np.subtract(a, b)))
            return np.less_equal(distance, self.tolerance())
        return COMPARISONS[operator](a, b)

    def tolerance(self) -> float:
        """Return the tolerance of the claim.

        Raises:
            FormulaError: it has none.
        """
        if "tolerance" not in self.env or self.env["tolerance"] is None:
            raise FormulaError("the claim compares within a tolerance, but has none")
        return float(self.env["tolerance"])

    def member(self, value: Any, domain: Expr) -> Any:
        """Return the elementwise truth of ``value in domain``."""
        if isinstance(domain, Interval):
            low, high = self.value(domain.low), self.value(domain.high)
            above = self.elementwise(">=" if domain.closed_low else ">", value, low)
            below = self.elementwise("<=" if domain.closed_high else "<", value, high)
            return joined(np.logical_and, above, below)
        if isinstance(domain, Members):
            inside: Any = False
            for item in domain.items:
                equal = self.elementwise("==", value, self.value(item))
                inside = joined(np.logical_or, inside, equal)
            return inside
        if isinstance(domain, Call) and domain.function == "range":
            span = self._range(domain)
            return self._placed(domain, _in_range, number(value, self.precision), span)
        items = self.value(domain)
        if isinstance(items, str) and isinstance(value, str):
            return value in items
        if contains_nan(number(value)) or contains_nan(number(items)):
            raise Undefined("a comparison with NaN")
        return np.isin(as_array(value), as_array(items))

    def _logic(self, node: Logic) -> Any:
        result = self.truths(node.operands[0])
        for operand in node.operands[1:]:
            # A scalar guard decides alone, so that what it guards against is never computed.
            if not np.ndim(result):
                if node.operator == "and" and not result:
                    return False
                if node.operator in ("or", "implies") and bool(result) == (node.operator == "or"):
                    return True
            other = self.truths(operand)
            if node.operator == "implies":
                result = np.logical_not(result)
            result = self._placed(node, joined, _CONNECTIVES[node.operator], result, other)
        return np.asarray(result)[()]

    def truths(self, node: Expr) -> Any:
        """Return a boolean or a boolean array.

        Raises:
            FormulaError: the node is not a claim.
        """
        value = host(self.value(node))
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if isinstance(value, np.ndarray) and value.dtype.kind == "b":
            return value
        raise FormulaError(f"not a claim but a value: {brief(value)}", offset=node.offset)

    def decide(self, node: Expr) -> bool:
        """Return one truth value; an array must agree on it."""
        return bool(np.all(self.truths(node)))

    def _conditional(self, node: Conditional) -> Any:
        condition = self.truths(node.condition)
        if np.ndim(condition):
            raise FormulaError(
                "the condition of 'if' is an array", offset=node.offset, hint="use where(c, a, b)"
            )
        return self.value(node.then if condition else node.otherwise)

    def _call(self, node: Call) -> Any:
        key = id(node)
        if key in self._hoisted:
            return self._hoisted[key]
        value = self._called(node)
        if key in self._invariant:
            self._hoisted[key] = value
        return value

    def _called(self, node: Call) -> Any:
        name = node.function
        target = self.bound.get(name, self.env.get(name))
        if isinstance(target, _Lazy):
            if not target.definition.parameters:
                raise FormulaError(f"'{name}' takes no arguments", offset=node.offset)
            return self._local_call(node, target)
        if target is not None:
            return self._equation(node, target)
        function = LIBRARY.get(name)
        if function is None:
            raise FormulaError(f"unknown function '{name}'", offset=node.offset)
        if node.keywords and not function.keywords:
            raise FormulaError(f"'{name}' takes no keywords", offset=node.offset)
        arguments = node.arguments
        if len(arguments) == 1 and isinstance(arguments[0], Each):
            if not function.reduces:
                raise FormulaError(f"'{name}' does not reduce over 'for'", offset=node.offset)
            values = self._collected(arguments[0], node)
            if name in ("stack", "concat"):
                # A lone argument is an array whose items are joined: wrap a lone item.
                arguments_of = values if len(values) != 1 else [values]
                return self._library(node, function.apply, *arguments_of)
            return self._library(node, function.apply, values)
        self._check_arity(node, function.minimum, function.maximum)
        return self._library(node, function.apply, *(self.value(a) for a in arguments))

    def _check_arity(self, node: Call, least: int, most: int | None) -> None:
        given = len(node.arguments)
        if given < least or (most is not None and given > most):
            expected = str(least) if least == most else f"{least} to {most or 'any number of'}"
            raise FormulaError(
                f"'{node.function}' takes {expected} arguments, not {given}", offset=node.offset
            )

    def _library(self, node: Call, apply: Callable[..., Any], *arguments: Any) -> Any:
        keywords = {name: self.value(value) for name, value in node.keywords}

        def run() -> Any:
            return apply(self.precision, *arguments, **keywords)

        return self._placed(node, run)

    def _equation(self, node: Call, target: Any) -> Any:
        if not callable(target):
            raise FormulaError(f"'{node.function}' is a value, not a function", offset=node.offset)
        if node.keywords:
            raise FormulaError(f"'{node.function}' takes no keywords", offset=node.offset)
        arguments = [self.value(argument) for argument in node.arguments]
        with np.errstate(**self.outside):
            return host(target(*arguments))

    def _local_call(self, node: Call, target: _Lazy) -> Any:
        definition = target.definition
        if len(node.arguments) != len(definition.parameters):
            raise FormulaError(
                f"'{definition.name}' takes {len(definition.parameters)} arguments, "
                f"not {len(node.arguments)}",
                offset=node.offset,
            )
        values = [self.value(argument) for argument in node.arguments]
        with self.scope(dict(zip(definition.parameters, values, strict=True)), target.scope):
            return self.value(definition.body)

    def _collected(self, each: Each, node: Call) -> Any:
        if node.function in ("stack", "concat"):
            return list(self._items(each))
        values = [number(value, self.precision) for value in self._items(each)]
        if not values:
            return np.zeros(0, dtype=np.int64)
        arithmetic.broadcast(*values)
        if not any(np.ndim(value) for value in values):
            return values[0] if len(values) == 1 else self._scalars(values)
        message = f"'{node.function}' over 'for' takes numbers; stack(…) collects arrays"
        raise FormulaError(message, offset=node.offset)

    def _scalars(self, values: list[Any]) -> Any:
        integral = all(isinstance(value, int) and abs(value) < 1 << 62 for value in values)
        return np.asarray(values, dtype=np.int64 if integral else self.precision)

    def _items(self, each: Each) -> Iterator[Any]:
        with self.loop(each) as items:
            for item in items:
                with self.binding(each.variable, item):
                    if isinstance(each.body, Each):
                        yield from self._items(each.body)
                    else:
                        yield self.value(each.body)

    def iterate(self, domain: Expr) -> Iterator[Any]:
        """Yield the elements of a bounded domain.

        Raises:
            FormulaError: there are more than the evaluation may take steps.
        """
        if isinstance(domain, Members):
            for item in domain.items:
                yield self.value(item)
            return
        if isinstance(domain, Call) and domain.function == "range" and "range" not in self.env:
            span = self._range(domain)
        else:
            items = self.value(domain)
            if not isinstance(items, list | tuple | np.ndarray | str) or not np.shape(items):
                message = "the domain is not a range, a set or an array"
                raise FormulaError(message, offset=domain.offset)
            yield from items
            return
        length = max(0, -((span.start - span.stop) // span.step))
        if length > self.steps:
            message = f"the evaluation takes more than {MAX_STEPS} steps"
            raise FormulaError(message, offset=domain.offset)
        yield from span

    def _range(self, domain: Call) -> range:
        if not 1 <= len(domain.arguments) <= 3:
            raise FormulaError("a range has one to three bounds", offset=domain.offset)
        return self._placed(domain, bounds, tuple(self.value(a) for a in domain.arguments))  # type: ignore[no-any-return]

    @contextmanager
    def scope(
        self, variables: Mapping[str, Any], scope: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Bind variables in a scope, the current one unless a definition brings its own."""
        saved = self.bound
        self.bound = {**(saved if scope is None else scope), **variables}
        try:
            yield
        finally:
            self.bound = saved

    @contextmanager
    def loop(self, node: Each | Quantifier) -> Iterator[Iterator[Any]]:
        """Yield the values of a loop's variable, hoisting the calls that do not depend on it."""
        invariant = self._loops.get(id(node))
        if invariant is None:
            invariant = frozenset(map(id, invariant_calls(node.body, frozenset({node.variable}))))
            self._loops[id(node)] = invariant
        new = invariant - self._invariant
        self._invariant |= new
        try:
            yield self.iterate(node.domain)
        finally:
            self._invariant -= new
            for key in new:
                self._hoisted.pop(key, None)

    @contextmanager
    def binding(self, variable: str, value: Any) -> Iterator[None]:
        """Bind one variable."""
        with self.scope({variable: value}):
            yield

    def _index(self, node: Index) -> Any:
        base = self.value(node.base)
        if isinstance(base, list | tuple) and is_numeric(base):
            base = np.asarray(base)
        if not isinstance(base, np.ndarray) or not base.ndim:
            message = f"only an array can be indexed, not {brief(base)}"
            raise FormulaError(message, offset=node.offset)
        items = tuple(self._item(item) for item in node.items)
        try:
            return base[items]
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
            return self._scalars(values)
        return self._placed(node, number, values, self.precision)

    def _local(self, node: Local) -> Any:
        scope = dict(self.bound)
        scope.update({d.name: _Lazy(d, scope) for d in node.definitions})
        with self.scope({}, scope):
            return self.value(node.body)

    def _quantifier(self, node: Quantifier) -> Any:
        wanted = node.kind == "exists"
        with self.loop(node) as items:
            for item in items:
                with self.binding(node.variable, item):
                    if self.decide(node.body) == wanted:
                        return wanted
        return not wanted

    def _misplaced(self, node: Expr) -> Any:
        what = {
            Restrict: "a 'where' guard belongs to a claim",
            Members: "a set stands only right of 'in'",
            Interval: "an interval stands only right of 'in'",
            Each: "'for' belongs to a reduction",
            Definition: "a definition is no value",
        }.get(type(node), "a slice stands only in an index")
        raise FormulaError(what, offset=node.offset)


class _Lazy:
    """A local definition: evaluated when first used, in the scope where it stands."""

    def __init__(self, definition: Definition, scope: Mapping[str, Any]) -> None:
        self.definition = definition
        self.scope = scope
        self._value: Any = None
        self._known = False

    def get(self, evaluator: Evaluator, name: str) -> Any:
        if self.definition.parameters:
            raise FormulaError(f"'{name}' is a function; call it", offset=self.definition.offset)
        if not self._known:
            with evaluator.scope({}, self.scope):
                self._value = evaluator.value(self.definition.body)
            self._known = True
        return self._value


_VALUES: dict[type[Expr], Callable[[Evaluator, Any], Any]] = {
    Number: Evaluator._number,
    Constant: Evaluator._constant,
    Name: Evaluator._name,
    Unary: Evaluator._unary,
    Binary: Evaluator._binary,
    Compare: Evaluator._compare,
    Logic: Evaluator._logic,
    Conditional: Evaluator._conditional,
    Call: Evaluator._call,
    Index: Evaluator._index,
    Array: Evaluator._array,
    Local: Evaluator._local,
    Quantifier: Evaluator._quantifier,
    Restrict: Evaluator._misplaced,
    Members: Evaluator._misplaced,
    Interval: Evaluator._misplaced,
    Each: Evaluator._misplaced,
    Slice: Evaluator._misplaced,
    Dots: Evaluator._misplaced,
    Definition: Evaluator._misplaced,
}


def _in_range(value: Any, span: range) -> Any:
    if contains_nan(value):
        raise Undefined("a comparison with NaN")
    if isinstance(value, int):
        return value in span
    if max(abs(span.start), abs(span.stop), abs(span.step)) >= 1 << 53:
        raise FormulaError("a bound of a range exceeds 53 bits")
    low, high = (span.start, span.stop) if span.step > 0 else (span.stop + 1, span.start + 1)
    within = np.logical_and(np.greater_equal(value, low), np.less(value, high))
    return np.logical_and(within, np.remainder(np.subtract(value, span.start), span.step) == 0)


def joined(connective: np.ufunc, first: Any, second: Any) -> Any:
    """Combine truth values elementwise."""
    arithmetic.broadcast(np.asarray(first), np.asarray(second))
    return connective(first, second)


def invariant_calls(node: Expr, bound: frozenset[str]) -> Iterator[Call]:
    """Yield the outermost calls below a node that mention none of the bound names."""
    if isinstance(node, Call) and not names(node) & bound:
        yield node
        return
    scope = binder(node)
    inner = bound if scope is None else bound | set(scope[0])
    outside = () if scope is None else scope[2]
    for child in children(node):
        yield from invariant_calls(child, bound if child in outside else inner)


def opaque_comparison(operator: str, left: Any, right: Any) -> bool:
    """Compare values that are no numbers: equal or not, nothing else."""
    if operator not in ("==", "!=", "approx"):
        raise FormulaError(f"{brief(left)} and {brief(right)} have no order")
    if callable(left) or callable(right):
        raise FormulaError("a function is compared by calling it")
    if type(left) is not type(right):
        return operator == "!="
    return bool(left == right) == (operator != "!=")


def evaluate(expr: Expr, env: Mapping[str, Any], *, precision: DTypeLike = np.float64) -> Any:
    """Return the value of an expression.

    ``precision`` is the working precision; float32 gives the *plain evaluation* against which
    the tolerance kind ``noise`` measures.

    Raises:
        FormulaError: a name is unknown, shapes do not fit, or a limit is exceeded.
        Undefined: a comparison with NaN decides the value.
    """
    evaluator = Evaluator(env, precision)
    with np.errstate(all="ignore"):
        value = evaluator.value(expr)
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
