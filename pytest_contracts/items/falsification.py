"""Falsification tests: a named attempt to break a prediction, by formula or by procedure."""

from __future__ import annotations

from collections.abc import Callable

from pytest_contracts.items.case import Case
from pytest_contracts.items.formula_claim import formal_of, formula_test
from pytest_contracts.items.observation import Prose
from pytest_contracts.items.procedure_claim import procedure_test


def falsification_test(case: Case) -> Callable[..., None]:
    """Return the test of a falsification test.

    Raises:
        Prose: it has neither ``formal`` nor ``run``.
    """
    if case.claim.run is not None:
        return procedure_test(case)
    formula = formal_of(case.claim)
    if formula is None:
        raise Prose("it has neither formal nor run")
    return formula_test(case, (formula,))
