"""What a function leaves as it was: a measure of its argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_contracts.contract.obligation_keys import MEASURE
from pytest_contracts.errors import Falsified
from pytest_contracts.formula import Definition, as_function
from pytest_contracts.items.equations import SCALAR
from pytest_contracts.items.formulas import Formula, check_names
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.templates import template

_APPROXIMATE = ("sum", "norm")
_EXACT = {"count": "size", "shape": "shape"}


@template("conservation")
def conservation(clause: Clause) -> Test:
    """m(f(x)) ≈ m(x), where ``measure:`` is sum, norm, count, shape, dtype, or a formula of x."""
    measure = clause.value(MEASURE)
    if measure is None:
        raise clause.refusal(
            "it needs a measure", "Add measure: sum, norm, count, shape, dtype, or a formula."
        )
    x = clause.argument
    if measure == "dtype":
        return _same_dtype(clause)
    if measure in _EXACT:
        function = _EXACT[measure]
        return clause.judged(f"{function}({clause.call()}) = {function}({x})")
    if measure in _APPROXIMATE:
        return clause.judged(f"{measure}({clause.call()}) {clause.sign} {measure}({x})")
    return _of_formula(clause, measure)


def _of_formula(clause: Clause, text: str) -> Test:
    case, x = clause.case, clause.argument
    name = clause.unused("measure")
    known = {**case.contract.constants, **case.parameters.values}
    measure = Formula.of(text, clause.claim.where)
    check_names(measure, {*clause.parameters, *known})
    if x not in measure.names:
        raise clause.refusal(f"the measure {text!r} does not mention {x!r}")
    definition = Definition(name, clause.parameters, measure.tree)
    function = as_function(definition, known)
    before = ", ".join(clause.parameters)
    after = ", ".join(clause.call() if p == x else p for p in clause.parameters)
    text = f"{name}({after}) {clause.sign} {name}({before})"
    return clause.judged(text, functions={name: function})


def _same_dtype(clause: Clause) -> Test:
    subject, x = clause.subject(), clause.argument
    if subject.implementation == SCALAR:
        raise clause.refusal(
            f"the implementation {SCALAR!r} deals in plain numbers, which have no dtype",
            "Name the others under applies_to.",
        )
    position = clause.parameters.index(x)

    def unchanged(inputs: Mapping[str, Any], arguments: tuple[Any, ...]) -> None:
        given = subject.given(arguments)
        expected = np.asarray(given[position]).dtype
        found = np.asarray(subject.run(given)).dtype
        clause.case.observation.compared(1)
        if found != expected:
            raise Falsified(
                f"the dtype of {clause.call()} is that of {x}",
                left=str(found),
                right=str(expected),
            )

    return clause.observed(subject, unchanged)
