"""The verdict on a claim for one set of values: what was compared, how far off, and where.

A claim is true, false, or undefined, when NaN enters a comparison; it holds only if true, so NaN
never passes, not even under ``not``. What stands left of ``implies`` or right of ``when`` and
``where`` is a guard: it is decided, but not counted as compared.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.contract.model import ToleranceKind
from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import Closeness, closeness, noise_of
from pytest_contracts.formula.evaluate import Evaluator, opaque_comparison
from pytest_contracts.formula.render import render_unicode
from pytest_contracts.formula.tree import (
    Comparator,
    Compare,
    Conditional,
    Expr,
    Logic,
    Quantifier,
    Restrict,
    Unary,
    names,
)
from pytest_contracts.formula.values import Undefined, as_array, brief, is_numeric, number

Truth: TypeAlias = "bool | None"
_Pair: TypeAlias = tuple[Expr, Comparator, Expr]

_SCALARS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a claim.

    ``compared`` counts elements; zero means that no guard was met, or nothing was there. The other
    fields describe the comparison that decided: its text, both sides at the worst element
    ``index``, their distance ``error``, the formula with its values, and why, if there is more to
    say. ``ill_conditioned`` counts elements set aside under the tolerance kind ``noise``.
    """

    holds: bool
    compared: int
    comparison: str
    left: Any = None
    right: Any = None
    error: float | None = None
    index: tuple[int, ...] | None = None
    substituted: str = ""
    tolerance: float | None = None
    tolerance_kind: ToleranceKind = "absolute"
    ill_conditioned: int = 0
    reason: str = ""

    def __bool__(self) -> bool:
        return self.holds


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one comparison gave; its text is rendered only when it is reported."""

    truth: Truth
    claim: Expr | _Pair
    left: Any = None
    right: Any = None
    error: float | None = None
    index: tuple[int, ...] | None = None
    reason: str = ""
    bound: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.claim, Expr):
            return render_unicode(self.claim)
        left, operator, right = self.claim
        return render_unicode(Compare(left, ((operator, right),)))


class _Judge:
    def __init__(
        self,
        env: Mapping[str, Any],
        tolerance: float | None,
        kind: ToleranceKind,
        floor: float | None,
        baseline: Mapping[str, Any] | None,
        precision: DTypeLike,
    ) -> None:
        self.evaluator = Evaluator(env)
        self.plain = None if baseline is None else Evaluator(baseline, precision)
        self.tolerance = tolerance
        self.kind = kind
        self.floor = floor
        self.precision = precision
        self.compared = 0
        self.ill_conditioned = 0
        self.counting = True
        self.mask: Any = None
        self.finding: _Finding | None = None

    # -- claims ---------------------------------------------------------------------------------

    def truth(self, node: Expr) -> Truth:
        if isinstance(node, Compare):
            return self.comparison(node)
        if isinstance(node, Logic):
            return self.logic(node)
        if isinstance(node, Unary) and node.operator == "not":
            inner = self.truth(node.operand)
            return None if inner is None else not inner
        if isinstance(node, Quantifier):
            return self.quantifier(node)
        if isinstance(node, Restrict):
            return self.restricted(node)
        if isinstance(node, Conditional):
            return self.conditional(node)
        return self.predicate(node)

    def logic(self, node: Logic) -> Truth:
        if node.operator == "implies":
            guard = self.guard(node.operands[0])
            if guard is False:
                return True
            claim = self.truth(node.operands[1])
            return True if claim else (None if guard is None else claim)
        if node.operator == "iff":
            left, right = (self.truth(operand) for operand in node.operands)
            return None if left is None or right is None else left == right
        deciding = node.operator == "or"
        result: Truth = not deciding
        for operand in node.operands:
            truth = self.truth(operand)
            if truth is deciding:
                return truth
            if truth is None:
                result = None
        return result

    def guard(self, node: Expr) -> Truth:
        counting, finding = self.counting, self.finding
        self.counting = False
        try:
            truth = self.truth(node)
        finally:
            self.counting = counting
        # An undefined guard decides the claim, so it is what the report shows.
        if truth is not None:
            self.finding = finding
        return truth

    def conditional(self, node: Conditional) -> Truth:
        chosen = self.guard(node.condition)
        if chosen is None:
            return None
        return self.truth(node.then if chosen else node.otherwise)

    def quantifier(self, node: Quantifier) -> Truth:
        deciding = node.kind == "exists"
        result: Truth = not deciding
        with self.evaluator.loop(node) as items:
            for item in items:
                with self.bound(node.variable, item):
                    truth = self.truth(node.body)
                if truth is deciding:
                    return truth
                if truth is None:
                    result = None
                    if not deciding:
                        return None
        return result

    @contextmanager
    def bound(self, variable: str, value: Any) -> Iterator[None]:
        with self.evaluator.binding(variable, value):
            if self.plain is None:
                yield
            else:
                with self.plain.binding(variable, value):
                    yield

    def restricted(self, node: Restrict) -> Truth:
        outer = self.mask
        try:
            mask = self.evaluator.truths(node.mask)
        except Undefined as reason:
            return self.undefined(node.mask, reason.reason)
        self.mask = mask if outer is None else np.logical_and(outer, mask)
        try:
            if not np.any(self.mask):
                return True
            return self.truth(node.claim)
        finally:
            self.mask = outer

    def predicate(self, node: Expr) -> Truth:
        try:
            value = self.evaluator.truths(node)
        except Undefined as reason:
            return self.undefined(node, reason.reason)
        selected, count = self.select(np.asarray(value))
        self.count(count)
        holds = bool(np.all(selected))
        index = None if holds else _first(~selected)
        self.record(_Finding(holds, node, value, True, index=index))
        return holds

    # -- comparisons ----------------------------------------------------------------------------

    def comparison(self, node: Compare) -> Truth:
        result: Truth = True
        left_node = node.first
        left: Any = None
        for position, (symbol, operand) in enumerate(node.rest):
            pair = (left_node, symbol, operand)
            try:
                if not position:
                    left = self.evaluator.value(left_node)
                if symbol in ("in", "not in"):
                    truth = self.membership(pair, left)
                    right = None
                else:
                    right = self.evaluator.value(operand)
                    truth = self.pair(pair, left, right)
            except Undefined as reason:
                return self.undefined(node, reason.reason)
            except FormulaError as error:
                if error.offset is None:
                    raise FormulaError(error.message, offset=node.offset, hint=error.hint) from None
                raise
            if truth is False:
                return False
            if truth is None:
                result = None
            left, left_node = right, operand
        return result

    def membership(self, pair: _Pair, left: Any) -> Truth:
        _, symbol, domain = pair
        inside = np.asarray(self.evaluator.member(left, domain))
        selected, count = self.select(inside if symbol == "in" else ~inside)
        self.count(count)
        truth = bool(np.all(selected))
        index = None if truth else _first(~selected)
        shown = render_unicode(domain)
        self.record(_Finding(truth, pair, _at(left, index), shown, index=index))
        return truth

    def pair(self, pair: _Pair, left: Any, right: Any) -> Truth:
        symbol = pair[1]
        if not (is_numeric(left) and is_numeric(right)):
            holds = opaque_comparison(symbol, left, right)
            self.count(1)
            self.record(_Finding(holds, pair, left, right))
            return holds
        left, right = number(left), number(right)
        if self.mask is None and symbol in _SCALARS and not (np.ndim(left) or np.ndim(right)):
            return self.scalars(pair, left, right)
        a, b = as_array(left), as_array(right)
        if symbol in ("==", "!=", "approx") and a.shape != b.shape and a.ndim and b.ndim:
            self.count(max(a.size, b.size))
            reason = f"shapes {list(a.shape)} and {list(b.shape)} differ"
            holds = symbol == "!="
            self.record(_Finding(holds, pair, left, right, reason=reason))
            return holds
        shape = arithmetic.broadcast(a, b)
        a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
        chosen = np.broadcast_to(True if self.mask is None else self._mask(shape), shape)
        if not chosen.any():
            return True
        nan = (np.isnan(a) | np.isnan(b)) & chosen
        if nan.any():
            self.count(int(np.count_nonzero(chosen)))
            return self.not_a_number(pair, a, b, _first(nan))
        if symbol == "approx":
            return self.approximate(pair, a, b, chosen)
        return self.exact(pair, a, b, chosen)

    def not_a_number(self, pair: _Pair, a: Any, b: Any, index: tuple[int, ...]) -> Truth:
        left, right = _at(a, index), _at(b, index)
        side = "left" if np.isnan(left) else "right"
        reason = f"NaN on the {side}"
        self.record(_Finding(None, pair, left, right, math.nan, index or None, reason))
        return None

    def scalars(self, pair: _Pair, a: int | float, b: int | float) -> Truth:
        self.count(1)
        if math.isnan(a) or math.isnan(b):
            return self.not_a_number(pair, a, b, ())
        holds = _SCALARS[pair[1]](a, b)
        excess = _excess(pair[1], 0.0 if a == b else float(a) - float(b))
        self.record(_Finding(holds, pair, a, b, float(excess)))
        return holds

    def exact(self, pair: _Pair, a: Any, b: Any, chosen: Any) -> bool:
        symbol = pair[1]
        with np.errstate(invalid="ignore"):
            excess = _excess(symbol, np.where(a == b, 0.0, np.subtract(a, b, dtype=np.float64)))
        holding = self.evaluator.elementwise(symbol, a, b) | ~chosen
        holds = bool(np.all(holding))
        # Where the claim fails, a difference that rounds to nothing must still be found.
        index = _largest(excess, chosen if holds else ~holding)
        self.count(int(np.count_nonzero(chosen)))
        at = index or None
        self.record(_Finding(holds, pair, _at(a, index), _at(b, index), float(excess[index]), at))
        return holds

    def approximate(self, pair: _Pair, a: Any, b: Any, chosen: Any) -> bool:
        if self.tolerance is None:
            raise FormulaError("the claim compares with ≈, but has no tolerance")
        noise = self.noise((pair[0], pair[2]), a.shape) if self.kind == "noise" else None
        all_chosen = bool(chosen.all())
        left, right = (a, b) if all_chosen else (a[chosen], b[chosen])
        if noise is not None and not all_chosen:
            noise = noise[chosen]
        result: Closeness = closeness(
            left, right, tolerance=self.tolerance, kind=self.kind, floor=self.floor, noise=noise
        )
        index = result.index
        if index is not None and not all_chosen:
            index = tuple(int(i) for i in np.argwhere(chosen)[index[0]])
        self.count(result.compared)
        if self.counting:
            self.ill_conditioned += result.ill_conditioned
        shown = (_at(a, index), _at(b, index))
        self.record(
            _Finding(result.holds, pair, *shown, result.error, index or None, result.reason)
        )
        return result.holds

    def noise(self, nodes: tuple[Expr, Expr], shape: tuple[int, ...]) -> Any:
        if self.plain is None:
            raise FormulaError("the tolerance kind 'noise' needs the equations' definitions")
        left, right = (as_array(self.plain.value(node)) for node in nodes)
        arithmetic.broadcast(left, right)
        noise = noise_of(left, right, self.precision)
        return np.broadcast_to(noise, shape)

    def _mask(self, shape: tuple[int, ...]) -> Any:
        try:
            return np.broadcast_to(self.mask, shape)
        except ValueError:
            if not shape:
                raise FormulaError("'where' selects elements of a single number") from None
            raise FormulaError(
                f"the mask of shape {list(np.shape(self.mask))} does not fit {list(shape)}"
            ) from None

    def select(self, holding: Any) -> tuple[Any, int]:
        if self.mask is None:
            return holding, holding.size
        mask = self._mask(holding.shape)
        return holding | ~mask, int(np.count_nonzero(mask))

    # -- record ---------------------------------------------------------------------------------

    def count(self, elements: int) -> None:
        if self.counting:
            self.compared += elements

    def undefined(self, node: Expr, reason: str) -> Truth:
        self.count(1)
        self.record(_Finding(None, node, reason=reason))
        return None

    def record(self, finding: _Finding) -> None:
        """Keep the last failure; while all holds, the comparison that came closest to failing."""
        last = self.finding
        if (
            finding.truth is True
            and last is not None
            and (last.truth is not True or (last.error or 0.0) >= (finding.error or 0.0))
        ):
            return
        self.finding = replace(finding, bound=self.evaluator.bound)


def _at(value: Any, index: tuple[int, ...] | None) -> Any:
    array = np.asarray(value)
    if index is None or array.ndim != len(index):
        return value
    return array[index].item()


def _first(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def _excess(symbol: str, difference: Any) -> Any:
    """Return by how much a comparison fails; negative where it holds with room to spare."""
    if symbol in ("<", "<="):
        return difference
    if symbol in (">", ">="):
        return -difference
    return abs(difference)


def _largest(values: Any, among: Any) -> tuple[int, ...]:
    ranked = np.where(among, values, -np.inf)
    best = int(np.argmax(ranked))
    if not among.flat[best]:
        return _first(among)
    return tuple(int(i) for i in np.unravel_index(best, ranked.shape))


def _where_bound(variables: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name} = {brief(value)}" for name, value in variables.items())
    return f", at {listed}" if listed else ""


def judge(
    expr: Expr,
    env: Mapping[str, Any],
    *,
    tolerance: float | None = None,
    tolerance_kind: ToleranceKind = "absolute",
    floor: float | None = None,
    baseline: Mapping[str, Any] | None = None,
    precision: DTypeLike = np.float32,
) -> Judgement:
    """Decide a claim for the values in ``env``.

    ``tolerance`` is what ``ε`` stands for and what ``≈`` allows, in the unit of its kind: a
    difference, a ratio, a number of float32 values (``ulp``), 1 − cosine, or for ``noise`` a factor
    on the error that the same expression has in ``baseline``: an environment in which equations are
    their definitions, evaluated in ``precision``. ``floor`` is the difference below which ``ulp``
    counts zero.

    Raises:
        FormulaError: the formula is no claim, or does not fit the values.
    """
    env = {"tolerance": tolerance, **env} if tolerance is not None else env
    if baseline is not None and tolerance is not None:
        baseline = {"tolerance": tolerance, **baseline}
    judging = _Judge(env, tolerance, tolerance_kind, floor, baseline, precision)
    with np.errstate(all="ignore"):
        try:
            truth = judging.truth(expr)
        except Undefined as reason:
            truth = judging.undefined(expr, reason.reason)
    finding = judging.finding or _Finding(truth, expr)
    return Judgement(
        holds=truth is True,
        compared=judging.compared,
        comparison=finding.text,
        left=finding.left,
        right=finding.right,
        error=finding.error,
        index=finding.index,
        substituted=substituted(expr, env) + _where_bound(finding.bound or {}),
        tolerance=tolerance,
        tolerance_kind=tolerance_kind,
        ill_conditioned=judging.ill_conditioned,
        reason=finding.reason,
    )


def substituted(expr: Expr, env: Mapping[str, Any]) -> str:
    """Return the formula with short texts of the values in place of their names."""
    shown = {
        name: brief(env[name])
        for name in names(expr, calls=False)
        if name in env and not callable(env[name])
    }
    return render_unicode(expr, values=shown)
