"""What an equation declares of itself: its definition, its codomain, its implementations."""

from __future__ import annotations

from pytest_contracts.contract.model import Equation
from pytest_contracts.contract.obligation_keys import TO
from pytest_contracts.contract.scope import implementation_names
from pytest_contracts.items.equations import Subject
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import ALWAYS, Enough
from pytest_contracts.items.obligations.templates import template
from pytest_contracts.items.observation import Prose


@template("equivalence", beside=ALWAYS)
def equivalence(clause: Clause) -> Test:
    """f(x) ≈ the definition in float64, or ≈ another implementation with ``to:``."""
    if clause.case.implementation is None:
        raise Prose(f"equation {clause.equation.name} has no implementation")
    named = clause.value(TO)
    other, functions = ("definition", None) if named is None else _peer(clause, named)
    text = f"{clause.call()} {clause.sign} {other}({', '.join(clause.parameters)})"
    return clause.judged(text, functions=functions)


def _peer(clause: Clause, named: str) -> tuple[str, dict[str, Subject]]:
    """Return another implementation, and the name it goes by in the formula."""
    case, equation = clause.case, clause.equation
    names = implementation_names(case.contract, equation)
    if named not in names:
        raise clause.refusal(
            f"to names {named!r}, which is no implementation of {equation.name}",
            f"Implementations: {', '.join(names) or 'none'}.",
        )
    if case.implementation == named:
        raise clause.refusal(f"{named!r} would be compared with itself")
    label = clause.unused(f"{equation.name}_{named}")
    return label, {label: Subject(case.contract, equation, named, case.observation, label=label)}


_IN_INTERVAL = Enough(
    "the `codomain` is an interval", lambda clause: interval_of(clause.equation) is not None
)


@template("bound", beside=_IN_INTERVAL)
def bound(clause: Clause) -> Test:
    """Every element of f(x) lies in the codomain, an interval such as ``[0, 1]^n``."""
    codomain = interval_of(clause.equation)
    if codomain is None:
        raise Prose("type bound needs formal, run, or an equation whose codomain is an interval")
    return clause.judged(f"{clause.call()} in {codomain}")


def interval_of(equation: Equation) -> str | None:
    """Return the interval that every element lies in, None where the codomain is none."""
    codomain = (equation.codomain or "").split("^")[0].strip()
    is_interval = codomain[:1] in "[(" and codomain[-1:] in "])" and codomain.count(",") == 1
    return codomain if is_interval else None
