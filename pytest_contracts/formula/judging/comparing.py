"""One comparison at a time: which elements are compared, how far apart they are, where worst."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import (
    Closeness,
    Tolerance,
    closeness,
    difference_of,
    distances,
)
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.evaluating.truths import elementwise, member, opaque_comparison
from pytest_contracts.formula.judging.baseline import Baseline
from pytest_contracts.formula.judging.elements import at, excess_of, first, largest
from pytest_contracts.formula.judging.judgement import Finding, Pair, Truth
from pytest_contracts.formula.judging.record import Record
from pytest_contracts.formula.judging.selection import Selection
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.tree import Call, Expr, walk
from pytest_contracts.formula.values import as_array, is_numeric, number
from pytest_contracts.formula.writing.unicode import render_unicode

_SCALARS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


_ORDERED = frozenset(_SCALARS) - {"!="}


def _is_plain(value: Any) -> bool:
    """Tell whether NumPy compares the value without a conversion that rounds."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype == np.float64)
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53)


class Comparisons:
    """Decides comparisons of values under one tolerance.

    ``baseline`` evaluates the same claim by the definitions, which the tolerance kind ``noise``
    measures against.
    """

    def __init__(
        self,
        run: Evaluation,
        baseline: Baseline | None,
        tolerance: Tolerance,
        record: Record,
        selection: Selection,
    ) -> None:
        self.run = run
        self.baseline = baseline
        self.tolerance = tolerance
        self.record = record
        self.selection = selection

    def membership(self, pair: Pair, left: Any) -> Truth:
        """Decide ``left in domain``."""
        _, symbol, domain = pair
        inside = np.asarray(member(self.run, left, domain))
        selected, count = self.selection.select(inside if symbol == "in" else ~inside)
        self.record.count(count)
        truth = bool(np.all(selected))
        index = None if truth else first(~selected)
        shown = render_unicode(domain)
        self.record.keep(Finding(truth, pair, at(left, index), shown, index=index))
        return truth

    def pair(self, pair: Pair, left: Any, right: Any) -> Truth:
        """Decide one comparison."""
        symbol = pair[1]
        if not (is_numeric(left) and is_numeric(right)):
            holds = opaque_comparison(symbol, left, right)
            self.record.count(1)
            if left is None or right is None:
                reason = "None is no value that a claim could be about"
                self.record.keep(Finding(None, pair, left, right, reason=reason))
                return None
            self.record.keep(Finding(holds, pair, left, right))
            return holds
        unit = self.tolerance.unit(left, right)
        left, right = number(left), number(right)
        if (
            self.selection.mask is None
            and symbol in _SCALARS
            and not (np.ndim(left) or np.ndim(right))
        ):
            return self.scalars(pair, left, right)
        apart = np.shape(left) != np.shape(right)
        if (
            not self.record.closest
            and self.selection.mask is None
            and not (apart and _of_one_kind(pair))
            and self.plainly(symbol, left, right)
        ):
            return True
        a, b = as_array(left), as_array(right)
        stretched = a.shape != b.shape and bool((a.ndim and b.ndim) or _of_one_kind(pair))
        if stretched and (symbol in ("==", "!=", "approx") or _stretches_result(pair, a, b)):
            self.record.count(max(a.size, b.size))
            reason = f"shapes {list(a.shape)} and {list(b.shape)} differ"
            holds = symbol == "!="
            self.record.keep(Finding(holds, pair, left, right, reason=reason))
            return holds
        shape = arithmetic.broadcast(a, b)
        self.run.budget.spend(math.prod(shape))
        a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
        chosen = self.selection.over(shape)
        if not chosen.any():
            return True
        nan = (np.isnan(a) | np.isnan(b)) & chosen
        if nan.any():
            self.record.count(int(np.count_nonzero(chosen)))
            return self.not_a_number(pair, a, b, first(nan))
        if symbol == "approx":
            return self.approximate(pair, a, b, chosen, unit)
        return self.exact(pair, a, b, chosen)

    def plainly(self, symbol: str, a: Any, b: Any) -> bool:
        """Tell whether a comparison holds at one look; if not, it must be looked at closely."""
        if not (_is_plain(a) and _is_plain(b)):
            return False
        if np.ndim(a) and np.ndim(b) and a.shape != b.shape:
            return False
        if symbol == "approx":
            if self.tolerance.kind != "absolute" or self.tolerance.value is None:
                return False
            holding = np.abs(np.subtract(a, b)) <= self.tolerance.value
        elif symbol in _ORDERED:
            holding = _SCALARS[symbol](a, b)
        else:
            return False
        if not holding.all():  # false as well where there is a NaN
            return False
        self.record.count(holding.size)
        return True

    def not_a_number(self, pair: Pair, a: Any, b: Any, index: tuple[int, ...]) -> Truth:
        """Record that a NaN leaves a comparison without a truth value."""
        left, right = at(a, index), at(b, index)
        side = "left" if math.isnan(left) else "right"
        reason = f"NaN on the {side}"
        self.record.keep(Finding(None, pair, left, right, math.nan, index or None, reason))
        return None

    def scalars(self, pair: Pair, a: int | float, b: int | float) -> Truth:
        """Decide a comparison of two numbers."""
        self.record.count(1)
        if math.isnan(a) or math.isnan(b):
            return self.not_a_number(pair, a, b, ())
        holds = _SCALARS[pair[1]](a, b)
        if holds and not self.record.closest:
            return True
        excess = excess_of(pair[1], 0.0 if a == b else float(a) - float(b))
        self.record.keep(Finding(holds, pair, a, b, float(excess)))
        return holds

    def exact(self, pair: Pair, a: Any, b: Any, chosen: Any) -> bool:
        """Decide a comparison of arrays without tolerance."""
        symbol = pair[1]
        with np.errstate(invalid="ignore"):
            excess = excess_of(symbol, np.where(a == b, 0.0, np.subtract(a, b, dtype=np.float64)))
        holding = elementwise(self.run, symbol, a, b) | ~chosen
        holds = bool(np.all(holding))
        # Where the claim fails, a difference that rounds to nothing must still be found.
        index = largest(excess, chosen if holds else ~holding)
        self.record.count(int(np.count_nonzero(chosen)))
        left, right = at(a, index), at(b, index)
        self.record.keep(Finding(holds, pair, left, right, float(excess[index]), index or None))
        return holds

    def approximate(self, pair: Pair, a: Any, b: Any, chosen: Any, unit: np.dtype[Any]) -> bool:
        """Decide ``≈`` under the tolerance of the claim."""
        if self.tolerance.value is None:
            raise FormulaError("the claim compares with ≈, but has no tolerance")
        allowed = replace(self.tolerance, precision=unit)
        noise = self.noise(pair, a, b, unit) if allowed.kind == "noise" else None
        result = _within(a, b, chosen, allowed, noise)
        aside = 0
        if not result.holds and self.baseline is not None:
            apart = difference_of(a, b)
            excused = chosen & (apart <= self.baseline.doubt(pair[0], pair[2], unit))
            excused &= ~_passing(a, b, apart, allowed, noise)
            aside = int(np.count_nonzero(excused))
            if aside:
                chosen = chosen & ~excused
                result = _within(a, b, chosen, allowed, noise)
        self.record.count(result.compared, result.ill_conditioned + aside)
        shown = (at(a, result.index), at(b, result.index))
        self.record.keep(
            Finding(result.holds, pair, *shown, result.error, result.index or None, result.reason)
        )
        return result.holds

    def noise(self, pair: Pair, a: Any, exact: Any, unit: np.dtype[Any]) -> Any:
        """Return the error scale that the definitions have on both sides."""
        if self.baseline is None:
            raise FormulaError("the tolerance kind 'noise' needs the equations' definitions")
        rounded = not a.dtype.kind == exact.dtype.kind == "i"
        noise = self.baseline.scale(pair[0], pair[2], exact, unit, rounded=rounded)
        return np.broadcast_to(noise, exact.shape)


def _within(a: Any, b: Any, chosen: Any, allowed: Tolerance, noise: Any) -> Closeness:
    """Return how close the chosen elements are."""
    assert allowed.value is not None
    every = bool(chosen.all())
    result = closeness(
        *((a, b) if every else (a[chosen], b[chosen])),
        tolerance=allowed.value,
        kind=allowed.kind,
        floor=allowed.floor,
        noise=noise if every or noise is None else noise[chosen],
        precision=allowed.precision,
    )
    if result.index is None or every:
        return result
    return replace(result, index=tuple(int(i) for i in np.argwhere(chosen)[result.index[0]]))


def _passing(a: Any, b: Any, apart: Any, allowed: Tolerance, noise: Any) -> Any:
    """Return which elements are within the tolerance."""
    assert allowed.value is not None
    if noise is not None:
        return apart <= allowed.value * noise
    return distances(a, b, allowed) <= allowed.value


def _stretches_result(pair: Pair, a: Any, b: Any) -> bool:
    """Tell whether the order of two arrays would be that of a result with copies of itself."""
    shape = arithmetic.broadcast(a, b)
    return any(
        value.shape != shape and mentions_result(node)
        for node, value in ((pair[0], a), (pair[2], b))
    )


def mentions_result(node: Expr) -> bool:
    """Tell whether a function under judgement is called, or a definition."""
    return any(_is_result(part) for part in walk(node))


def _of_one_kind(pair: Pair) -> bool:
    """Tell whether both sides are results of functions under judgement, not numbers beside them.

    A number may stand for every element; a function that gives one in place of many is wrong.
    """
    return all(_is_result(node) for node in pair[::2])


def _is_result(node: Any) -> bool:
    return isinstance(node, Call) and node.function not in LIBRARY
