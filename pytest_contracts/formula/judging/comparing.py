"""One comparison at a time: which elements are compared, how far apart they are, where worst."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import Closeness, closeness, noise_of
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.evaluating.truths import elementwise, member, opaque_comparison
from pytest_contracts.formula.judging.elements import at, excess_of, first, largest
from pytest_contracts.formula.judging.judgement import Finding, Pair, Truth
from pytest_contracts.formula.judging.record import Record
from pytest_contracts.formula.judging.selection import Selection
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.tree import Call, Expr
from pytest_contracts.formula.values import as_array, is_numeric, number
from pytest_contracts.formula.writing.unicode import render_unicode
from pytest_contracts.tolerance import ToleranceKind

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


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What ``≈`` allows, in the unit of its kind; ``floor`` is what counts as zero ulp."""

    value: float | None
    kind: ToleranceKind = "absolute"
    floor: float | None = None


class Comparisons:
    """Decides comparisons of values under one tolerance.

    ``plain`` evaluates the same claim in the ``precision`` of the implementation, which the
    tolerance kind ``noise`` measures against.
    """

    def __init__(
        self,
        run: Evaluation,
        plain: Evaluation | None,
        tolerance: Tolerance,
        precision: DTypeLike,
        record: Record,
        selection: Selection,
    ) -> None:
        self.run = run
        self.plain = plain
        self.tolerance = tolerance
        self.precision = precision
        self.record = record
        self.selection = selection

    def membership(self, pair: Pair, left: Any) -> Truth:
        """Decide ``left in domain``."""
        _, symbol, domain = pair
        inside = np.asarray(member(self.run, left, domain))
        self.record.compares(inside.shape, each=True)
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
        shapes = np.shape(left), np.shape(right)
        self.record.compares(max(shapes, key=len), each=symbol != "==" or () in shapes)
        if not (is_numeric(left) and is_numeric(right)):
            holds = opaque_comparison(symbol, left, right)
            self.record.count(1)
            self.record.keep(Finding(holds, pair, left, right))
            return holds
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
        if symbol in ("==", "!=", "approx") and stretched:
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
            return self.approximate(pair, a, b, chosen)
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

    def approximate(self, pair: Pair, a: Any, b: Any, chosen: Any) -> bool:
        """Decide ``≈`` under the tolerance of the claim."""
        allowed, kind, floor = self.tolerance.value, self.tolerance.kind, self.tolerance.floor
        if allowed is None:
            raise FormulaError("the claim compares with ≈, but has no tolerance")
        noise = self.noise((pair[0], pair[2]), a.shape) if kind == "noise" else None
        all_chosen = bool(chosen.all())
        left, right = (a, b) if all_chosen else (a[chosen], b[chosen])
        if noise is not None and not all_chosen:
            noise = noise[chosen]
        result: Closeness = closeness(
            left, right, tolerance=allowed, kind=kind, floor=floor, noise=noise
        )
        index = result.index
        if index is not None and not all_chosen:
            index = tuple(int(i) for i in np.argwhere(chosen)[index[0]])
        self.record.count(result.compared, result.ill_conditioned)
        shown = (at(a, index), at(b, index))
        self.record.keep(
            Finding(result.holds, pair, *shown, result.error, index or None, result.reason)
        )
        return result.holds

    def noise(self, nodes: tuple[Expr, Expr], shape: tuple[int, ...]) -> Any:
        """Return the error scale that the baseline has for both sides."""
        if self.plain is None:
            raise FormulaError("the tolerance kind 'noise' needs the equations' definitions")
        left, right = (as_array(self.plain.value(node)) for node in nodes)
        arithmetic.broadcast(left, right)
        noise = noise_of(left, right, self.precision)
        return np.broadcast_to(noise, shape)


def _of_one_kind(pair: Pair) -> bool:
    """Tell whether both sides are results of functions under judgement, not numbers beside them.

    A number may stand for every element; a function that gives one in place of many is wrong.
    """
    return all(isinstance(node, Call) and node.function not in LIBRARY for node in pair[::2])
