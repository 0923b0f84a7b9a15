"""One evaluation: what names mean at the point that it has reached, and what it may still do.

The rules that give a node its value stand beside this module, as functions of the evaluation and
the node; ``evaluate`` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.distance import Tolerance
from pytest_contracts.formula.evaluating.budget import MAX_STEPS, current
from pytest_contracts.formula.evaluating.hoisting import Hoisting
from pytest_contracts.formula.tree import Expr, Name
from pytest_contracts.formula.values import number

Rule: TypeAlias = Callable[["Evaluation", Any], Any]


class Evaluation:
    """Evaluates nodes over one environment; ``steps`` bounds its work.

    With a ``shaken`` generator what is rounded is moved to a neighbour at random.
    """

    def __init__(
        self,
        env: Mapping[str, Any],
        precision: DTypeLike,
        rules: Mapping[type[Expr], Rule],
        shaken: np.random.Generator | None = None,
    ) -> None:
        self.env = env
        self.precision = precision
        self.rules = rules
        self.shaken = shaken
        self.budget = current()
        self.steps = min(MAX_STEPS, self.budget.steps)
        self.bound: dict[str, Any] = {}
        self.hoisting = Hoisting()
        self.axes: dict[int, tuple[tuple[Expr, int], ...]] = {}
        self.outside = np.geterr()
        self.allowed: Tolerance | None = None
        """What ``≈`` means inside the claim that is judged."""

    def value(self, node: Expr) -> Any:
        """Return the value of a node."""
        self.steps -= 1
        if self.steps < 0:
            raise FormulaError(f"the evaluation takes more than {MAX_STEPS} steps")
        return self.rules[type(node)](self, node)

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

    def made(self, value: Any) -> Any:
        """Return a value, its elements counted as work."""
        if type(value) is np.ndarray:
            self.budget.spend(value.size)
        return value

    def placed(self, node: Expr, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; an error without a place gets the node's."""
        try:
            return function(*arguments)
        except FormulaError as error:
            if error.offset is None:
                raise FormulaError(error.message, offset=node.offset, hint=error.hint) from None
            raise

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
    def binding(self, variable: str, value: Any) -> Iterator[None]:
        """Bind one variable."""
        with self.scope({variable: value}):
            yield
