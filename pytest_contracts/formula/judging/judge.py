"""The truth of a claim for one set of values: what was compared, how far off, and where.

A claim is true, false, or undefined, when NaN enters a comparison; it holds only if true, so NaN
never passes, not even under ``not``. What stands left of ``implies`` or right of ``when`` and
``where`` is a guard: it is decided, but not counted as compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.distance import Tolerance
from pytest_contracts.formula.evaluating.axes import agree
from pytest_contracts.formula.evaluating.evaluate import evaluation
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.evaluating.loops import iterate
from pytest_contracts.formula.evaluating.truths import joined, truths
from pytest_contracts.formula.judging.baseline import Baseline, Definitions
from pytest_contracts.formula.judging.comparing import Comparisons, mentions_result
from pytest_contracts.formula.judging.elements import first
from pytest_contracts.formula.judging.judgement import Finding, Judgement, Truth
from pytest_contracts.formula.judging.record import Record
from pytest_contracts.formula.judging.selection import Selection
from pytest_contracts.formula.judging.telling import tells
from pytest_contracts.formula.tree import (
    Call,
    Compare,
    Conditional,
    Expr,
    Logic,
    Quantifier,
    Restrict,
    Unary,
    names,
)
from pytest_contracts.formula.values import Undefined, brief
from pytest_contracts.formula.writing.unicode import render_unicode
from pytest_contracts.tolerance import ToleranceKind


class _Judge:
    """Decides a claim, its connectives, quantifiers and guards, down to single comparisons."""

    def __init__(
        self,
        run: Evaluation,
        comparisons: Comparisons,
        record: Record,
        selection: Selection,
    ) -> None:
        self.run = run
        self.comparisons = comparisons
        self.record = record
        self.selection = selection
        self.arrays = False
        """Whether what was decided was about the elements of an array."""
        self.elements = False
        """Whether elements were compared, not whether two arrays are equal, or one finite."""

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
        if (claim := self.all_of(node)) is not None:
            before = self.arrays, self.elements
            whole = self.truth(claim)
            self.arrays, self.elements = before  # it is said of the whole
            return whole
        return self.predicate(node)

    def all_of(self, node: Expr) -> Expr | None:
        """Return the claim in ``all(claim)``, which says of arrays what the claim alone says."""
        if isinstance(node, Call) and node.function == "all" and "all" not in self.run.env:
            (inner, *others), keywords = node.arguments, node.keywords
            if not others and not keywords and isinstance(inner, Compare | Logic | Quantifier):
                return inner
        return None

    def logic(self, node: Logic) -> Truth:
        if node.operator == "implies":
            guard, many = self.guard(node.operands[0])
            if guard is False:
                return True
            claim, _ = self.beside(node.operands[0], node.operands[1], many)
            return True if claim else (None if guard is None else claim)
        if node.operator == "iff":
            left, many = self.among(node.operands[0])
            right, _ = self.beside(node.operands[0], node.operands[1], many)
            return None if left is None or right is None else left == right
        deciding = node.operator == "or"
        result: Truth = not deciding
        condition: Expr | None = None
        for operand in node.operands:
            if deciding:
                truth, many = self.beside(condition or operand, operand, condition is not None)
                # An alternative about the inputs alone is a condition turned round.
                if many and condition is None and not mentions_result(operand):
                    condition = operand
            else:
                before = self.record.looked_at
                truth = self.truth(operand)
                self.record.part(operand, self.record.looked_at - before)
            if truth is deciding:
                return truth
            if truth is None:
                result = None
        return result

    def among(self, node: Expr) -> tuple[Truth, bool]:
        """Return a truth, and whether it was about each element of an array."""
        arrays, elements = self.arrays, self.elements
        self.elements = False
        truth = self.truth(node)
        many = self.elements
        self.arrays, self.elements = arrays or self.arrays, elements or many
        return truth, many

    def beside(self, condition: Expr, claim: Expr, many: bool) -> tuple[Truth, bool]:
        """Return, as ``among`` does, the truth of what stands beside a condition.

        Raises:
            FormulaError: the condition is about ``many`` elements, and the claim about an array, so
                that nobody can know whether each element of the claim depends on its own of the
                condition, or on all of them.
        """
        before = self.arrays
        self.arrays = False
        truth, more = self.among(claim)
        if many and self.arrays and (mentions_result(claim) or mentions_result(condition)):
            each, every = render_unicode(claim), render_unicode(condition)
            raise FormulaError(
                "the condition is about the elements of an array, and so is the claim",
                offset=condition.offset,
                hint=f"For a condition of each element's own write ({each}) where …; "
                f"where all must meet it, all({every}).",
            )
        self.arrays |= before
        return truth, more

    def guard(self, node: Expr) -> tuple[Truth, bool]:
        record = self.record
        counting, finding = record.counting, record.finding
        record.counting = False
        try:
            truth, many = self.among(node)
        finally:
            record.counting = counting
        # An undefined guard decides the claim, so it is what the report shows.
        if truth is not None:
            record.finding = finding
        return truth, many

    def conditional(self, node: Conditional) -> Truth:
        chosen, many = self.guard(node.condition)
        if chosen is None:
            return None
        return self.beside(node.condition, node.then if chosen else node.otherwise, many)[0]

    def quantifier(self, node: Quantifier) -> Truth:
        deciding = node.kind == "exists"
        result: Truth = not deciding
        with self.run.hoisting.inside(node):
            try:
                agree(self.run, node)
            except Undefined as reason:
                return self.record.undefined(node, reason.reason)
            for item in iterate(self.run, node.domain):
                with self.run.binding(node.variable, item):
                    truth = self.truth(node.body)
                if truth is deciding:
                    return truth
                if truth is None:
                    result = None
                    if not deciding:
                        return None
        return result

    def restricted(self, node: Restrict) -> Truth:
        outer = self.selection.mask
        try:
            mask = truths(self.run, node.mask)
        except Undefined as reason:
            return self.record.undefined(node.mask, reason.reason)
        self.selection.mask = mask if outer is None else joined(np.logical_and, outer, mask)
        try:
            if not np.any(self.selection.mask):
                return True
            return self.truth(node.claim)
        finally:
            self.selection.mask = outer

    def predicate(self, node: Expr) -> Truth:
        try:
            value = truths(self.run, node)
        except Undefined as reason:
            return self.record.undefined(node, reason.reason)
        if np.ndim(value):
            self.arrays = True  # that x is finite is said of x
        selected, count = self.selection.select(np.asarray(value))
        self.record.count(count)
        holds = bool(np.all(selected))
        index = None if holds else first(~selected)
        self.record.keep(Finding(holds, node, value, True, index=index))
        return holds

    def comparison(self, node: Compare) -> Truth:
        result: Truth = True
        left_node = node.first
        left: Any = None
        for position, (symbol, operand) in enumerate(node.rest):
            pair = (left_node, symbol, operand)
            try:
                if not position:
                    left = self.run.value(left_node)
                if symbol in ("in", "not in"):
                    truth = self.comparisons.membership(pair, left)
                    right = None
                    self.look_at(symbol, left, operand)
                else:
                    right = self.run.value(operand)
                    counting = self.record.counting
                    if symbol in ("==", "approx") and counting:
                        self.record.counting = tells(self.run, left_node, operand, left)
                    truth = self.comparisons.pair(pair, left, right)
                    self.record.counting = counting
                    self.look_at(symbol, left, right)
            except Undefined as reason:
                return self.record.undefined(node, reason.reason)
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

    def look_at(self, symbol: str, left: Any, right: Any) -> None:
        """Note whether a comparison is about the elements of an array."""
        shapes = arithmetic.shape_of(left), arithmetic.shape_of(right)
        if any(shapes):
            self.arrays = True
            self.elements |= symbol not in ("==", "approx") or not all(shapes)


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
    baseline: Definitions | None = None,
    precision: DTypeLike = np.float32,
    closest: bool = True,
) -> Judgement:
    """Decide a claim for the values in ``env``.

    ``tolerance`` is what ``ε`` stands for and what ``≈`` allows, in the unit of its kind: a
    difference, a ratio, a number of values of the dtype ``precision`` (``ulp``), 1 − cosine, or for
    ``noise`` a factor on the error that the same expression has when equations are their
    definitions, evaluated in ``precision``. ``baseline`` gives the environments for that; with it,
    elements of which the definition itself tells nothing are set aside. ``floor`` is the difference
    below which ``ulp`` counts zero. Without ``closest``, a claim that holds is not described: no
    comparison, sides or values, which take longer to find than the truth.

    Raises:
        FormulaError: the formula is no claim, or does not fit the values.
    """
    env = {"tolerance": tolerance, **env} if tolerance is not None else env
    run = evaluation(env)
    record, selection = Record(run, closest), Selection()
    allowed = Tolerance(tolerance, tolerance_kind, floor, precision)
    run.allowed = allowed
    definitions = None if baseline is None else Baseline(run, baseline)
    comparisons = Comparisons(run, definitions, allowed, record, selection)
    with np.errstate(all="ignore"):
        try:
            truth = _Judge(run, comparisons, record, selection).truth(expr)
        except Undefined as reason:
            truth = record.undefined(expr, reason.reason)
    if truth is True and not closest:
        return Judgement(
            True,
            record.compared,
            "",
            ill_conditioned=record.ill_conditioned,
            parts=record.parts,
        )
    finding = record.finding or Finding(truth, expr)
    return Judgement(
        holds=truth is True,
        compared=record.compared,
        comparison=finding.text,
        left=finding.left,
        right=finding.right,
        error=finding.error,
        index=finding.index,
        substituted=substituted(expr, env) + _where_bound(finding.bound or {}),
        tolerance=tolerance,
        tolerance_kind=tolerance_kind,
        ill_conditioned=record.ill_conditioned,
        reason=finding.reason,
        parts=record.parts,
    )


def substituted(expr: Expr, env: Mapping[str, Any]) -> str:
    """Return the formula with short texts of the values in place of their names."""
    shown = {
        name: brief(env[name])
        for name in names(expr, calls=False)
        if name in env and not callable(env[name])
    }
    return render_unicode(expr, values=shown)
