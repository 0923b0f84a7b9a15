"""Order: weakly kept along the elements (monotonicity), or kept exactly (ordering)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.formula.values import Undefined, contains_nan, number
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import ORDERED
from pytest_contracts.items.obligations.templates import template


@template("ordering", beside=ORDERED)
def ordering(clause: Clause) -> Test:
    """ranks(f(x)) = ranks(x), or of −f(x) with ``direction: decreasing``; equal stay equal."""
    result = clause.call() if clause.rising else f"−{clause.call()}"
    x = clause.argument
    ranks = clause.unused("ranks")
    # Among equal elements there is no order to keep.
    varied = f"size({x}) > 1 and max({x}) > min({x})"
    return clause.judged(
        f"{ranks}({result}) = {ranks}({x}) when {varied}", functions={ranks: _ranks}
    )


def _ranks(values: Any) -> Any:
    """Return how many different elements are smaller, along the last axis."""
    rows = number(values)
    if contains_nan(rows):
        raise Undefined("the order of elements is undefined: NaN among them")
    return np.apply_along_axis(lambda row: np.unique(row, return_inverse=True)[1], -1, rows)


@template("monotonicity", beside=ORDERED)
def monotonicity(clause: Clause) -> Test:
    """x ≤ y ⟹ f(x) ≤ f(y), or ≥ with ``direction: decreasing``.

    Of two numbers, or of every two elements of a vector; a tolerance allows f(x) ≈ f(y) as well.
    """
    if clause.claim.tolerance_kind == "cosine":
        raise clause.refusal("an order is of elements, and a cosine says nothing of them")
    name = clause.argument
    return _of_numbers(clause, name) if clause.is_number(name) else _of_elements(clause, name)


def _of_numbers(clause: Clause, name: str) -> Test:
    other = clause.another(name)
    low, high = clause.call(), clause.at(other.name)
    word = "≤" if clause.rising else "≥"
    near = "" if clause.sign == "=" else f" ∨ {low} ≈ {high}"
    return clause.judged(f"{name} ≤ {other.name} implies ({low} {word} {high}{near})", other)


def _of_elements(clause: Clause, name: str) -> Test:
    """f(x)_j is the largest of all f(x)_i with x_i ≤ x_j, which no slack between two can add up to.

    Equal elements are among them both ways, so that f is equal there.
    """
    best = clause.unused("largest_up_to" if clause.rising else "smallest_up_to")
    extremum = np.maximum if clause.rising else np.minimum

    def so_far(keys: Any, values: Any) -> Any:
        x, y = number(keys), number(values)
        if np.ndim(x) != 1 or np.shape(x) != np.shape(y):
            raise ContractSyntaxError(
                "monotonicity without formal is about vectors, "
                f"not shapes {np.shape(x)} to {np.shape(y)}",
                where=clause.claim.where,
            )
        order = np.argsort(x, kind="stable")
        reached = extremum.accumulate(y[order])
        last = np.searchsorted(x[order], x, side="right") - 1
        return reached[last]

    text = f"{clause.call()} {clause.sign} {best}({name}, {clause.call()})"
    return clause.judged(f"{text} when size({name}) > 1", functions={best: so_far})
