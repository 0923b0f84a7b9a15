"""Names in scope, loops over bounded domains, and the budget of one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.evaluating.budget import MAX_STEPS, current
from pytest_contracts.formula.library.shaping import bounds
from pytest_contracts.formula.tree import (
    Call,
    Definition,
    Each,
    Expr,
    Members,
    Quantifier,
    binder,
    children,
    names,
)


class Scopes:
    """What names mean at a point of the evaluation; ``steps`` bounds its work."""

    def __init__(self, env: Mapping[str, Any], precision: DTypeLike = np.float64) -> None:
        self.env = env
        self.precision = precision
        self.budget = current()
        self.steps = min(MAX_STEPS, self.budget.steps)
        self.bound: dict[str, Any] = {}
        self.outside = np.geterr()
        # Calls that do not depend on a loop's variable run once per loop, each occurrence apart:
        # sharing between occurrences would compare an implementation with itself.
        self._loops: dict[int, frozenset[int]] = {}
        self._invariant: frozenset[int] = frozenset()
        self._hoisted: dict[int, Any] = {}

    def value(self, node: Expr) -> Any:
        """Return the value of a node."""
        raise NotImplementedError

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
            span = self.range_of(domain)
        else:
            items = self.value(domain)
            if not isinstance(items, list | tuple | np.ndarray) or not np.shape(items):
                message = "the domain is not a range, a set or an array"
                raise FormulaError(message, offset=domain.offset)
            yield from items
            return
        length = max(0, -((span.start - span.stop) // span.step))
        if length > self.steps:
            message = f"the evaluation takes more than {MAX_STEPS} steps"
            raise FormulaError(message, offset=domain.offset)
        yield from span

    def range_of(self, domain: Call) -> range:
        """Return the range that a call of ``range`` stands for."""
        if not 1 <= len(domain.arguments) <= 3:
            raise FormulaError("a range has one to three bounds", offset=domain.offset)
        return self.placed(domain, bounds, tuple(self.value(a) for a in domain.arguments))  # type: ignore[no-any-return]


class Lazy:
    """A local definition: evaluated when first used, in the scope where it stands."""

    def __init__(self, definition: Definition, scope: Mapping[str, Any]) -> None:
        self.definition = definition
        self.scope = scope
        self._value: Any = None
        self._known = False

    def get(self, evaluator: Scopes, name: str) -> Any:
        """Return the value."""
        if self.definition.parameters:
            raise FormulaError(f"'{name}' is a function; call it", offset=self.definition.offset)
        if not self._known:
            depth = self.definition.depth
            with evaluator.budget.deeper(depth), evaluator.scope({}, self.scope):
                self._value = evaluator.value(self.definition.body)
            self._known = True
        return self._value


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
