"""Truth values, elementwise: comparisons, membership, connectives."""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import EXACT_INTEGERS, Tolerance, distances
from pytest_contracts.formula.evaluating.axes import agree
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.evaluating.loops import iterate, range_of
from pytest_contracts.formula.tree import (
    Call,
    Compare,
    Conditional,
    Expr,
    Interval,
    Logic,
    Members,
    Quantifier,
)
from pytest_contracts.formula.values import (
    Undefined,
    as_array,
    brief,
    contains_nan,
    host,
    is_numeric,
    number,
)

COMPARISONS: Mapping[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_EXACT: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
    "==": operators.eq,
    "!=": operators.ne,
}
CONNECTIVES: Mapping[str, np.ufunc] = {
    "and": np.logical_and,
    "or": np.logical_or,
    "implies": np.logical_or,
    "iff": np.equal,
}


def compare(run: Evaluation, node: Compare) -> Any:
    """Return the truth of a chain of comparisons."""
    result: Any = True
    left = run.value(node.first)
    for operator, operand in node.rest:
        right, holds = compared(run, operator, left, operand)
        result = joined(np.logical_and, result, holds)
        left = right
    return result[()]


def compared(run: Evaluation, operator: str, left: Any, operand: Expr) -> tuple[Any, Any]:
    """Return the right operand's value and the elementwise truth of one comparison."""
    if operator in ("in", "not in"):
        inside = member(run, left, operand)
        return None, inside if operator == "in" else np.logical_not(inside)
    right = run.value(operand)
    return right, run.placed(operand, elementwise, run, operator, left, right)


def elementwise(run: Evaluation, operator: str, left: Any, right: Any) -> Any:
    """Return the elementwise truth of a comparison.

    Raises:
        Undefined: a NaN is among the operands.
    """
    if not (is_numeric(left) and is_numeric(right)):
        return opaque_comparison(operator, left, right)
    a, b = number(left, run.precision), number(right, run.precision)
    if contains_nan(a) or contains_nan(b):
        raise Undefined("a comparison with NaN")
    run.budget.spend(math.prod(arithmetic.broadcast(a, b)))
    if operator == "approx":
        return near(run, left, right)
    if _loses_bits(a, b) or _loses_bits(b, a):
        exactly = np.frompyfunc(_EXACT[operator], 2, 1)
        return np.asarray(exactly(np.asarray(a), np.asarray(b)), dtype=np.bool_)[()]
    return COMPARISONS[operator](a, b)


def _loses_bits(a: Any, b: Any) -> bool:
    """Tell whether NumPy would round the integers on one side to compare them with floats."""
    if isinstance(a, int):
        large = abs(a) >= EXACT_INTEGERS
    elif isinstance(a, np.ndarray) and a.dtype.kind == "i" and a.size:
        large = max(int(a.max()), -int(a.min())) >= EXACT_INTEGERS
    else:
        return False
    floating = isinstance(b, float | np.floating)
    return large and (floating or (isinstance(b, np.ndarray) and b.dtype.kind == "f"))


def near(run: Evaluation, left: Any, right: Any) -> Any:
    """Return the elementwise truth of ``≈`` where it stands inside a call, ``count(a ≈ b)``.

    Raises:
        FormulaError: the claim's kind of tolerance says nothing of single elements.
    """
    allowed = run.allowed or Tolerance(None)
    if allowed.kind in ("cosine", "noise"):
        raise FormulaError(
            f"≈ of kind {allowed.kind} compares whole arrays, and cannot stand inside of a call",
            hint="write a ≈ b as a claim: of arrays it is about all elements",
        )
    a, b = as_array(left, run.precision), as_array(right, run.precision)
    allowed = replace(allowed, precision=allowed.unit(left, right))
    return np.less_equal(distances(a, b, allowed), tolerance(run))


def tolerance(run: Evaluation) -> float:
    """Return the tolerance of the claim.

    Raises:
        FormulaError: it has none.
    """
    if "tolerance" not in run.env or run.env["tolerance"] is None:
        raise FormulaError("the claim compares within a tolerance, but has none")
    return float(run.env["tolerance"])


def member(run: Evaluation, value: Any, domain: Expr) -> Any:
    """Return the elementwise truth of ``value in domain``."""
    if isinstance(domain, Interval):
        low, high = run.value(domain.low), run.value(domain.high)
        above = elementwise(run, ">=" if domain.closed_low else ">", value, low)
        below = elementwise(run, "<=" if domain.closed_high else "<", value, high)
        return joined(np.logical_and, above, below)
    if isinstance(domain, Members):
        inside: Any = False
        for item in domain.items:
            equal = elementwise(run, "==", value, run.value(item))
            inside = joined(np.logical_or, inside, equal)
        return inside
    if isinstance(domain, Call) and domain.function == "range":
        span = range_of(run, domain)
        return run.placed(domain, _in_range, number(value, run.precision), span)
    items = run.value(domain)
    if isinstance(items, str) and isinstance(value, str):
        return value in items
    if contains_nan(number(value)) or contains_nan(number(items)):
        raise Undefined("a comparison with NaN")
    found, among = as_array(value), as_array(items)
    if _loses_bits(found, among) or _loses_bits(among, found):
        found, among = found.astype(object), among.astype(object)
    return np.isin(found, among)


def logic(run: Evaluation, node: Logic) -> Any:
    """Return the truth of a connective; a scalar guard decides alone."""
    result = truths(run, node.operands[0])
    for operand in node.operands[1:]:
        # A scalar guard decides alone, so that what it guards against is never computed.
        if not np.ndim(result):
            if node.operator == "and" and not result:
                return False
            if node.operator in ("or", "implies") and bool(result) == (node.operator == "or"):
                return True
        other = truths(run, operand)
        if node.operator == "implies":
            result = np.logical_not(result)
        result = run.placed(node, joined, CONNECTIVES[node.operator], result, other)
    return np.asarray(result)[()]


def truths(run: Evaluation, node: Expr) -> Any:
    """Return a boolean or a boolean array.

    Raises:
        FormulaError: the node is not a claim.
    """
    value = host(run.value(node))
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return value
    raise FormulaError(f"not a claim but a value: {brief(value)}", offset=node.offset)


def decide(run: Evaluation, node: Expr) -> bool:
    """Return one truth value; an array must agree on it."""
    return bool(np.all(truths(run, node)))


def conditional(run: Evaluation, node: Conditional) -> Any:
    """Return the branch that the condition chooses."""
    condition = truths(run, node.condition)
    if np.ndim(condition):
        raise FormulaError(
            "the condition of 'if' is an array", offset=node.offset, hint="use where(c, a, b)"
        )
    return run.value(node.then if condition else node.otherwise)


def quantifier(run: Evaluation, node: Quantifier) -> Any:
    """Return whether all, or any, elements of the domain satisfy the body."""
    wanted = node.kind == "exists"
    with run.hoisting.inside(node):
        agree(run, node)
        for item in iterate(run, node.domain):
            with run.binding(node.variable, item):
                if decide(run, node.body) == wanted:
                    return wanted
    return not wanted


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


def opaque_comparison(operator: str, left: Any, right: Any) -> bool:
    """Compare values that are no numbers: equal or not, nothing else."""
    if operator not in ("==", "!=", "approx"):
        raise FormulaError(f"{brief(left)} and {brief(right)} have no order")
    if callable(left) or callable(right):
        raise FormulaError("a function is compared by calling it")
    if type(left) is not type(right):
        return operator == "!="
    return bool(left == right) == (operator != "!=")
