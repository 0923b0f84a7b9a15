"""Order: weakly kept along the elements (monotonicity), or kept exactly (ordering)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_contracts.errors import ContractSyntaxError, Falsified
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import ORDERED
from pytest_contracts.items.obligations.templates import template


@template("ordering", beside=ORDERED)
def ordering(clause: Clause) -> Test:
    """argsort(f(x)) = argsort(x), or of −f(x) with ``direction: decreasing``; equal stay equal."""
    result = clause.call() if clause.rising else f"−{clause.call()}"
    x = clause.argument
    return clause.judged(f"argsort({result}) = argsort({x}) when size({x}) > 1")


@template("monotonicity", beside=ORDERED)
def monotonicity(clause: Clause) -> Test:
    """x ≤ y ⟹ f(x) ≤ f(y), or ≥ with ``direction: decreasing``.

    Of two numbers, or along the sorted elements of a vector.
    """
    name = clause.argument
    return _of_numbers(clause, name) if clause.is_number(name) else _of_elements(clause, name)


def _of_numbers(clause: Clause, name: str) -> Test:
    other = clause.another(name)
    low, high = clause.call(), clause.at(other.name)
    if not clause.rising:
        low, high = high, low
    slack = "" if clause.claim.tolerance is None else " + tolerance"
    return clause.judged(f"{name} ≤ {other.name} implies {low} ≤ {high}{slack}", other)


def _of_elements(clause: Clause, name: str) -> Test:
    claim, case, subject = clause.claim, clause.case, clause.subject()
    word = "≤" if clause.rising else "≥"

    def ordered(inputs: Mapping[str, Any], arguments: tuple[Any, ...]) -> None:
        x = np.asarray(inputs[name])
        y = np.asarray(subject(*arguments), dtype=np.float64)
        if x.ndim != 1 or y.shape != x.shape:
            raise ContractSyntaxError(
                f"monotonicity without formal is about vectors, not shapes {x.shape} to {y.shape}",
                where=claim.where,
            )
        order = np.argsort(x, kind="stable")
        steps = np.diff(y[order]) if clause.rising else -np.diff(y[order])
        strict = np.diff(x[order]) > 0
        case.observation.compared(int(np.count_nonzero(strict)))
        slack = claim.tolerance or 0.0
        failing = strict & ~(steps >= -slack)
        if failing.any():
            i, j = (int(order[k]) for k in (np.argmax(failing), np.argmax(failing) + 1))
            f = clause.equation.name
            raise Falsified(
                f"{name}_i ≤ {name}_j ⟹ {f}({name})_i {word} {f}({name})_j",
                substituted=f"{name}[{i}] = {x[i]} ≤ {name}[{j}] = {x[j]}",
                left=float(y[i]),
                right=float(y[j]),
                error=float(abs(y[i] - y[j])),
                tolerance=claim.tolerance,
                index=(i, j),
            )

    return clause.observed(subject, ordered)
