"""Equations that a function satisfies with itself: every template is a formula."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_contracts.contract.model import Equation, Variable
from pytest_contracts.contract.obligation_keys import INVERSE
from pytest_contracts.contract.scope import definition_of
from pytest_contracts.items.equations import Subject
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import OF_ONE, OF_TWO
from pytest_contracts.items.obligations.templates import template
from pytest_contracts.suggesting import did_you_mean


@template("idempotency", beside=OF_ONE)
def idempotency(clause: Clause) -> Test:
    """f(f(x)) ≈ f(x)."""
    once = clause.call()
    return clause.judged(f"{clause.at(once)} {clause.sign} {once}")


@template("involution", beside=OF_ONE)
def involution(clause: Clause) -> Test:
    """f(f(x)) ≈ x."""
    return clause.judged(f"{clause.at(clause.call())} {clause.sign} {clause.argument}")


@template("roundtrip")
def roundtrip(clause: Clause) -> Test:
    """g(f(x)) ≈ x, where ``inverse:`` names g: an equation, or ``module:function``.

    An equation's further parameters are taken by name; a function is given f(x) alone.
    """
    named = clause.value(INVERSE)
    if named is None:
        raise clause.refusal(
            "it needs an inverse", "Add inverse: an equation of the contract, or module:function."
        )
    right = f"{clause.sign} {clause.argument}"
    if ":" in named:
        name = clause.unused("inverse")
        inverse = _foreign(clause, name, named)
        return clause.judged(f"{name}({clause.call()}) {right}", functions={name: inverse})
    known = {equation.name: equation for equation in clause.case.contract.equations}
    if named not in known:
        raise clause.refusal(
            f"inverse {named!r} is no equation of the contract",
            did_you_mean(named, known) or f"Equations: {', '.join(known)}.",
        )
    definition = definition_of(known[named])
    others = definition.parameters[1:] if definition is not None else ()
    return clause.judged(f"{named}({', '.join([clause.call(), *others])}) {right}")


def _foreign(clause: Clause, name: str, target: str) -> Subject:
    """Return a function outside the contract, called as the implementation under test is."""
    case, where = clause.case, clause.claim.where
    implementation = case.implementation or name
    equation = Equation(
        name=name,
        where=where,
        formula=None,
        formula_where=where,
        variables=(),
        codomain=None,
        implementations={implementation: target},
        implementation_where={implementation: where},
    )
    return Subject(case.contract, equation, implementation, case.observation)


@template("additivity", beside=OF_ONE)
def additivity(clause: Clause) -> Test:
    """f(x + x₂) ≈ f(x) + f(x₂)."""
    x, other = clause.argument, clause.another(clause.argument)
    right = f"{clause.call()} + {clause.at(other.name)}"
    return clause.judged(f"{clause.at(f'{x} + {other.name}')} {clause.sign} {right}", other)


@template("homogeneity", beside=OF_ONE)
def homogeneity(clause: Clause) -> Test:
    """f(αx) ≈ αf(x)."""
    factor = _scalar(clause, "α")
    left = clause.at(f"{factor.name}·{clause.argument}")
    return clause.judged(f"{left} {clause.sign} {factor.name}·{clause.call()}", factor)


@template("linearity", beside=OF_ONE)
def linearity(clause: Clause) -> Test:
    """f(αx + βx₂) ≈ αf(x) + βf(x₂)."""
    x, other = clause.argument, clause.another(clause.argument)
    a, b = _scalar(clause, "α"), _scalar(clause, "β")
    left = clause.at(f"{a.name}·{x} + {b.name}·{other.name}")
    right = f"{a.name}·{clause.call()} + {b.name}·{clause.at(other.name)}"
    return clause.judged(f"{left} {clause.sign} {right}", other, a, b)


def _scalar(clause: Clause, name: str) -> Variable:
    """Return a factor from −2 to 2, whole unless the argument is real, or the claim's own."""
    spec = clause.domain(clause.argument)
    real = isinstance(spec, Mapping) and str(spec.get("dtype", "")).startswith("float")
    domain = {"dtype": "float64" if real else "int64", "range": [-2, 2]}
    return clause.own(name) or Variable(clause.unused(name), domain, clause.claim.where)


@template("symmetry", "commutativity", beside=OF_TWO)
def commutativity(clause: Clause) -> Test:
    """f(x, y) ≈ f(y, x)."""
    x, y = _pair(clause)
    return clause.judged(f"{clause.call()} {clause.sign} {clause.call(**{x: y, y: x})}")


@template("associativity", beside=OF_TWO)
def associativity(clause: Clause) -> Test:
    """f(f(x, y), z) ≈ f(x, f(y, z)), z from the domain of y."""
    x, y = _pair(clause)
    z = clause.another(y)
    left = clause.call(**{x: clause.call(), y: z.name})
    right = clause.call(**{y: clause.call(**{x: y, y: z.name})})
    return clause.judged(f"{left} {clause.sign} {right}", z)


def _pair(clause: Clause) -> tuple[str, str]:
    """Return the first two parameters, which can stand for each other."""
    if len(clause.parameters) < 2:
        raise clause.refusal(f"{clause.call()} has only one argument")
    x, y = clause.parameters[:2]
    if clause.domain(x) != clause.domain(y):
        raise clause.refusal(
            f"{x!r} and {y!r} have different domains, so they cannot change places",
            "Give both one domain under variables: of the claim, or state it with formal:.",
        )
    return x, y
