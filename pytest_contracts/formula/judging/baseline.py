"""What the definitions give in another precision, and what rounding does to them there.

An implementation is judged against its definition in more precision than its own. How far a plain
evaluation in its own precision is off is the scale of the kind ``noise``. Where the definition
loses its digits even in the wider precision, as exp(x) − 1 does near zero, it tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.distance import Float64, difference_of, noise_scale
from pytest_contracts.formula.evaluating.evaluate import evaluation
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.tree import Call, Constant, Expr, Name, Number
from pytest_contracts.formula.values import Array, Undefined, as_array

Definitions: TypeAlias = Callable[[DTypeLike, "np.random.Generator | None"], Mapping[str, Any]]
"""Gives the environment in which equations are their definitions, evaluated in a precision, with
what is rounded moved at random where there is a generator."""

SHAKES = 3
MARGIN = 4.0
"""How many times the largest of the observed variations the definition may be off."""


def wider(precision: DTypeLike) -> type[np.floating[Any]]:
    """Return the precision that definitions have beside implementations of another.

    For float64 it is longdouble, which has 64 to 113 bits where it is more than another name for
    float64 (not on Windows, nor on Apple's own processors).
    """
    if np.dtype(precision).itemsize < 8:
        return np.float64
    return np.longdouble if has_wider(precision) else np.float64


def has_wider(precision: DTypeLike) -> bool:
    """Tell whether there is a precision that is wider."""
    return np.dtype(precision).itemsize < 8 or bool(
        np.finfo(np.longdouble).eps < np.finfo(np.float64).eps
    )


class Baseline:
    """Evaluates the sides of a comparison by their definitions."""

    def __init__(self, run: Evaluation, definitions: Definitions) -> None:
        self.run = run
        self.definitions = definitions

    def _value(
        self, node: Expr, precision: DTypeLike, shaken: np.random.Generator | None = None
    ) -> Array:
        run = evaluation(self.definitions(precision, shaken), precision, shaken)
        with run.scope(self.run.bound):
            return as_array(run.value(node), precision)

    def scale(
        self, left: Expr, right: Expr, exact: Array, precision: DTypeLike, *, rounded: bool
    ) -> Float64:
        """Return the error scale of the kind ``noise``, NaN where no digit is correct.

        ``exact`` is the value of the right side; integers on both sides are not ``rounded``.
        """
        errors = (self._error(node, precision) for node in (left, right))
        return noise_scale(sum(errors, np.zeros(())), exact, precision, rounded=rounded)

    def _error(self, node: Expr, precision: DTypeLike) -> Float64:
        """Return how far a plain evaluation is off, elementwise."""
        wide = wider(precision)
        if isinstance(node, Name | Number | Constant):
            return np.zeros(())
        if isinstance(node, Call):
            plain, exact = (self.definitions(p, None).get(node.function) for p in (precision, wide))
            if plain is not None and plain is exact:  # as definition(x) is
                return np.zeros(())
        return difference_of(self._value(node, precision), self._value(node, wide))

    def doubt(self, left: Expr, right: Expr, precision: DTypeLike) -> Float64:
        """Return how far the definitions may be off in the wider precision, elementwise."""
        try:
            return self._variation(left, precision) + self._variation(right, precision)
        except (FormulaError, Undefined):
            return np.zeros(())  # nothing is known of it, so nothing is excused

    def _variation(self, node: Expr, precision: DTypeLike) -> Float64:
        if isinstance(node, Name | Number | Constant):
            return np.zeros(())
        wide = wider(precision)
        exact = self._value(node, wide)
        largest: Any = np.zeros(exact.shape)
        for seed in range(SHAKES):
            shaken = self._value(node, wide, np.random.default_rng(seed))
            largest = np.maximum(largest, np.where(shaken == exact, 0, np.abs(shaken - exact)))
        return np.asarray(MARGIN * np.where(np.isnan(largest), 0, largest), dtype=np.float64)
