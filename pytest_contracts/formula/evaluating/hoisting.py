"""Calls that do not depend on a loop's variable: computed once per loop.

Each occurrence is computed apart: sharing between occurrences would compare an implementation with
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_contracts.formula.tree import Call, Each, Expr, Quantifier, binder, children, names


class Hoisting:
    """The values of calls, by the identity of their nodes, while the loop around them runs."""

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}
        self.invariant: frozenset[int] = frozenset()
        self._loops: dict[int, frozenset[int]] = {}

    @contextmanager
    def inside(self, node: Each | Quantifier) -> Iterator[None]:
        """Keep the values of the calls that do not depend on this loop, until it ends."""
        invariant = self._loops.get(id(node))
        if invariant is None:
            invariant = frozenset(map(id, invariant_calls(node.body, frozenset({node.variable}))))
            self._loops[id(node)] = invariant
        new = invariant - self.invariant
        self.invariant |= new
        try:
            yield
        finally:
            self.invariant -= new
            for key in new:
                self.values.pop(key, None)


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
