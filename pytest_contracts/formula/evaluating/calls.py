"""Calls: of equations, of local definitions, of the library; and what reductions collect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.evaluating.axes import agree
from pytest_contracts.formula.evaluating.definitions import Lazy, local_call
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.evaluating.indexing import scalars
from pytest_contracts.formula.evaluating.loops import iterate
from pytest_contracts.formula.evaluating.shaking import moved
from pytest_contracts.formula.library import LIBRARY, Function
from pytest_contracts.formula.library.function import TERMS
from pytest_contracts.formula.tree import Call, Each
from pytest_contracts.formula.values import host, number


def call(run: Evaluation, node: Call) -> Any:
    """Return the value of a call, the one computed before in a loop that does not change it."""
    key, hoisting = id(node), run.hoisting
    if key in hoisting.values:
        return hoisting.values[key]
    value = _called(run, node)
    if key in hoisting.invariant:
        hoisting.values[key] = value
    return value


def _called(run: Evaluation, node: Call) -> Any:
    name = node.function
    target = run.bound.get(name, run.env.get(name))
    if isinstance(target, Lazy):
        return local_call(run, node, target)
    if target is not None:
        return _equation(run, node, target)
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
            return _library(run, node, function, _collected(run, arguments[0], node))
        values = list(_items(run, arguments[0]))
        # A lone item is taken apart again, as a lone argument is.
        apart = values if len(values) != 1 else [values]
        return _library(run, node, function, *apart)
    _check_arity(run, node, function.minimum, function.maximum)
    return _library(run, node, function, *(run.value(a) for a in arguments))


def _check_arity(run: Evaluation, node: Call, least: int, most: int | None) -> None:
    given = len(node.arguments)
    if given < least or (most is not None and given > most):
        expected = str(least) if least == most else f"{least} to {most or 'any number of'}"
        raise FormulaError(
            f"'{node.function}' takes {expected} arguments, not {given}", offset=node.offset
        )


def _library(run: Evaluation, node: Call, function: Function, *arguments: Any) -> Any:
    keywords = {name: run.value(value) for name, value in node.keywords}

    def applied() -> Any:
        run.budget.spend(sum(a.size for a in arguments if type(a) is np.ndarray))
        if run.shaken is None or not function.rounds:
            return run.made(function.apply(run.precision, *arguments, **keywords))
        # A sum rounds with every term, which its result alone does not show.
        terms = arguments[:1] if function.rounds == TERMS else ()
        shaken = [moved(number(t, run.precision), run.shaken, run.precision) for t in terms]
        value = function.apply(run.precision, *shaken, *arguments[len(shaken) :], **keywords)
        return run.made(moved(value, run.shaken, run.precision))

    return run.placed(node, applied)


def _equation(run: Evaluation, node: Call, target: Any) -> Any:
    if not callable(target):
        raise FormulaError(f"'{node.function}' is a value, not a function", offset=node.offset)
    if node.keywords:
        raise FormulaError(f"'{node.function}' takes no keywords", offset=node.offset)
    arguments = [run.value(argument) for argument in node.arguments]
    with np.errstate(**run.outside):
        return host(run.budget.sharing(target, *arguments))


def _collected(run: Evaluation, each: Each, node: Call) -> Any:
    values = [number(value, run.precision) for value in _items(run, each)]
    if not values:
        return np.zeros(0, dtype=np.int64)
    arithmetic.broadcast(*values)
    if not any(np.ndim(value) for value in values):
        return values[0] if len(values) == 1 else scalars(run, values)
    message = f"'{node.function}' over 'for' takes numbers; stack(…) collects arrays"
    raise FormulaError(message, offset=node.offset)


def _items(run: Evaluation, each: Each) -> Iterator[Any]:
    with run.hoisting.inside(each):
        agree(run, each)
        for item in iterate(run, each.domain):
            with run.binding(each.variable, item):
                if isinstance(each.body, Each):
                    yield from _items(run, each.body)
                else:
                    yield run.value(each.body)
