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
from pytest_contracts.formula.evaluating.budget import MULTIPLICATIONS_PER_ELEMENT
from pytest_contracts.formula.evaluating.calls import call
from pytest_contracts.formula.evaluating.definitions import Lazy, local
from pytest_contracts.formula.evaluating.evaluation import Evaluation, Rule
from pytest_contracts.formula.evaluating.indexing import array, index
from pytest_contracts.formula.evaluating.shaking import is_exact, moved
from pytest_contracts.formula.evaluating.truths import (
    compare,
    conditional,
    logic,
    quantifier,
    truths,
)
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
from pytest_contracts.formula.values import host

_CONSTANTS = {"true": True, "false": False, "inf": float("inf"), "pi": float(np.pi)}


def _number(run: Evaluation, node: Number) -> Any:
    return node.value


def _constant(run: Evaluation, node: Constant) -> Any:
    return _CONSTANTS[node.name]


def _name(run: Evaluation, node: Name) -> Any:
    if node.id in run.bound:
        value = run.bound[node.id]
        return value.get(run, node.id) if isinstance(value, Lazy) else value
    if node.id in run.env:
        return host(run.env[node.id])
    hint = "it is a library function; call it" if node.id in LIBRARY else None
    raise FormulaError(f"unknown name '{node.id}'", offset=node.offset, hint=hint)


def _unary(run: Evaluation, node: Unary) -> Any:
    if node.operator == "not":
        return np.logical_not(truths(run, node.operand))[()]
    return run.made(arithmetic.negative(run.numeric(node.operand), run.precision))


def _binary(run: Evaluation, node: Binary) -> Any:
    left, right = run.numeric(node.left), run.numeric(node.right)
    if run.shaken is not None and node.operator == "@":
        left = moved(left, run.shaken, run.precision)
    apply = arithmetic.OPERATORS[node.operator]
    value = run.placed(node, apply, left, right, run.precision)
    if node.operator == "@":
        terms = np.size(value) * left.shape[-1]
        run.budget.spend(terms // MULTIPLICATIONS_PER_ELEMENT)
    if run.shaken is not None and not (isinstance(left, int) and isinstance(right, int)):
        kept = is_exact(node.operator, left, right, value)
        value = np.where(kept, value, moved(value, run.shaken, run.precision))[()]
    return run.made(value)


def _misplaced(run: Evaluation, node: Expr) -> Any:
    what = {
        Restrict: "a 'where' guard belongs to a claim",
        Members: "a set stands only right of 'in'",
        Interval: "an interval stands only right of 'in'",
        Each: "'for' belongs to a reduction",
        Definition: "a definition is no value",
    }.get(type(node), "a slice stands only in an index")
    raise FormulaError(what, offset=node.offset)


RULES: Mapping[type[Expr], Rule] = {
    Number: _number,
    Constant: _constant,
    Name: _name,
    Unary: _unary,
    Binary: _binary,
    Compare: compare,
    Logic: logic,
    Conditional: conditional,
    Call: call,
    Index: index,
    Array: array,
    Local: local,
    Quantifier: quantifier,
    Restrict: _misplaced,
    Members: _misplaced,
    Interval: _misplaced,
    Each: _misplaced,
    Slice: _misplaced,
    Dots: _misplaced,
    Definition: _misplaced,
}
"""What gives each kind of node its value."""


def evaluation(
    env: Mapping[str, Any],
    precision: DTypeLike = np.float64,
    shaken: np.random.Generator | None = None,
) -> Evaluation:
    """Return an evaluation over an environment that has not begun."""
    return Evaluation(env, precision, RULES, shaken)


def evaluate(
    expr: Expr,
    env: Mapping[str, Any],
    *,
    precision: DTypeLike = np.float64,
    shaken: np.random.Generator | None = None,
) -> Any:
    """Return the value of an expression.

    ``precision`` is the working precision; float32 gives the *plain evaluation* against which
    the tolerance kind ``noise`` measures. ``shaken`` moves what is rounded at random.

    Raises:
        FormulaError: a name is unknown, shapes do not fit, or a limit is exceeded.
        Undefined: a comparison with NaN decides the value.
    """
    run = evaluation(env, precision, shaken)
    allowed = run.steps
    with np.errstate(all="ignore"), run.budget.deeper(expr.depth):
        value = run.value(expr)
    run.budget.step(allowed - run.steps)
    return bool(value) if isinstance(value, np.bool_) else value


def as_function(
    definition: Definition,
    env: Mapping[str, Any] | None = None,
    *,
    precision: DTypeLike = np.float64,
    shaken: np.random.Generator | None = None,
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
        return evaluate(definition.body, bound, precision=precision, shaken=shaken)

    oracle.__name__ = oracle.__qualname__ = definition.name
    return oracle
