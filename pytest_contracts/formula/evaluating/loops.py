"""Loops over bounded domains: a set, a range, the items of an array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.evaluating.budget import MAX_STEPS
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.library.shaping import bounds
from pytest_contracts.formula.tree import Call, Expr, Members


def iterate(run: Evaluation, domain: Expr) -> Iterator[Any]:
    """Yield the elements of a bounded domain.

    Raises:
        FormulaError: there are more than the evaluation may take steps.
    """
    if isinstance(domain, Members):
        for item in domain.items:
            yield run.value(item)
        return
    if isinstance(domain, Call) and domain.function == "range" and "range" not in run.env:
        span = range_of(run, domain)
    else:
        items = run.value(domain)
        if not isinstance(items, list | tuple | np.ndarray) or not np.shape(items):
            message = "the domain is not a range, a set or an array"
            raise FormulaError(message, offset=domain.offset)
        yield from items
        return
    length = max(0, -((span.start - span.stop) // span.step))
    if length > run.steps:
        message = f"the evaluation takes more than {MAX_STEPS} steps"
        raise FormulaError(message, offset=domain.offset)
    yield from span


def range_of(run: Evaluation, domain: Call) -> range:
    """Return the range that a call of ``range`` stands for."""
    if not 1 <= len(domain.arguments) <= 3:
        raise FormulaError("a range has one to three bounds", offset=domain.offset)
    return run.placed(domain, bounds, tuple(run.value(a) for a in domain.arguments))  # type: ignore[no-any-return]
