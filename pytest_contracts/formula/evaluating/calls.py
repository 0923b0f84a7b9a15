"""Calls: of equations, of local definitions, of the library; and what reductions collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.evaluating.scopes import Lazy
from pytest_contracts.formula.evaluating.truths import Truths
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.tree import Call, Each
from pytest_contracts.formula.values import host, number


class Calls(Truths):
    """Evaluates calls."""

    def call(self, node: Call) -> Any:
        """Return the value of a call, the one computed before in a loop that does not change it."""
        key = id(node)
        if key in self._hoisted:
            return self._hoisted[key]
        value = self._called(node)
        if key in self._invariant:
            self._hoisted[key] = value
        return value

    def _called(self, node: Call) -> Any:
        name = node.function
        target = self.bound.get(name, self.env.get(name))
        if isinstance(target, Lazy):
            if not target.definition.parameters:
                raise FormulaError(f"'{name}' takes no arguments", offset=node.offset)
            return self._local_call(node, target)
        if target is not None:
            return self._equation(node, target)
        function = LIBRARY.get(name)
        if function is None:
            raise FormulaError(f"unknown function '{name}'", offset=node.offset)
        if node.keywords and not function.keywords:
            raise FormulaError(f"'{name}' takes no keywords", offset=node.offset)
        arguments = node.arguments
        if len(arguments) == 1 and isinstance(arguments[0], Each):
            if not function.reduces:
                raise FormulaError(f"'{name}' does not reduce over 'for'", offset=node.offset)
            if not function.spreads:
                return self._library(node, function.apply, self._collected(arguments[0], node))
            values = list(self._items(arguments[0]))
            # A lone item is taken apart again, as a lone argument is.
            apart = values if len(values) != 1 else [values]
            return self._library(node, function.apply, *apart)
        self._check_arity(node, function.minimum, function.maximum)
        return self._library(node, function.apply, *(self.value(a) for a in arguments))

    def _check_arity(self, node: Call, least: int, most: int | None) -> None:
        given = len(node.arguments)
        if given < least or (most is not None and given > most):
            expected = str(least) if least == most else f"{least} to {most or 'any number of'}"
            raise FormulaError(
                f"'{node.function}' takes {expected} arguments, not {given}", offset=node.offset
            )

    def _library(self, node: Call, apply: Callable[..., Any], *arguments: Any) -> Any:
        keywords = {name: self.value(value) for name, value in node.keywords}

        def run() -> Any:
            self.budget.spend(sum(a.size for a in arguments if type(a) is np.ndarray))
            return self.made(apply(self.precision, *arguments, **keywords))

        return self.placed(node, run)

    def _equation(self, node: Call, target: Any) -> Any:
        if not callable(target):
            raise FormulaError(f"'{node.function}' is a value, not a function", offset=node.offset)
        if node.keywords:
            raise FormulaError(f"'{node.function}' takes no keywords", offset=node.offset)
        arguments = [self.value(argument) for argument in node.arguments]
        with np.errstate(**self.outside):
            return host(self.budget.sharing(target, *arguments))

    def _local_call(self, node: Call, target: Lazy) -> Any:
        definition = target.definition
        if len(node.arguments) != len(definition.parameters):
            raise FormulaError(
                f"'{definition.name}' takes {len(definition.parameters)} arguments, "
                f"not {len(node.arguments)}",
                offset=node.offset,
            )
        values = [self.value(argument) for argument in node.arguments]
        bound = dict(zip(definition.parameters, values, strict=True))
        with self.budget.deeper(definition.depth), self.scope(bound, target.scope):
            return self.value(definition.body)

    def _collected(self, each: Each, node: Call) -> Any:
        values = [number(value, self.precision) for value in self._items(each)]
        if not values:
            return np.zeros(0, dtype=np.int64)
        arithmetic.broadcast(*values)
        if not any(np.ndim(value) for value in values):
            return values[0] if len(values) == 1 else self.scalars(values)
        message = f"'{node.function}' over 'for' takes numbers; stack(…) collects arrays"
        raise FormulaError(message, offset=node.offset)

    def _items(self, each: Each) -> Iterator[Any]:
        with self.loop(each) as items:
            for item in items:
                with self.binding(each.variable, item):
                    if isinstance(each.body, Each):
                        yield from self._items(each.body)
                    else:
                        yield self.value(each.body)

    def scalars(self, values: list[Any]) -> Any:
        """Return numbers as an array."""
        integral = all(isinstance(value, int) and abs(value) < 1 << 62 for value in values)
        return np.asarray(values, dtype=np.int64 if integral else self.precision)
