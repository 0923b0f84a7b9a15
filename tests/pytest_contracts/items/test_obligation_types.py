"""Every obligation type: held by a function that keeps it, falsified by one that breaks it."""

from __future__ import annotations

import pytest

from pytest_contracts.contract.obligation_types import TYPES
from tests.within import unshrunk

HEAD = """
metadata: {{version: 1.0.0, description: A function under contract}}
equations:
  f:
    formula: {formula}
    codomain: "[-99, 99]^n"
    variables: {{{variables}}}
    implementations: {{good: "{maps}:good", bad: "{maps}:bad"}}
  half: {{formula: half(y) = y / 2}}
proof_obligations:
  - {{id: A, equation: f, property: P, {claim}}}
"""
ONE = "n: 1..5, x: {dtype: int64, shape: [n], range: [-9, 9]}"
TWO = f"{ONE}, y: {{dtype: int64, shape: [n], range: [-9, 9]}}"
DOUBLE = "f(x) = 2·x"

# Type, claim, definition, the function that keeps it, the one that breaks it, domains.
BY_FORMULA = [
    ("invariant", "formal: f(x) = 2·x", DOUBLE, "2 * x", "2 * x + 1", ONE),
    ("precondition", "formal: f(x) ≥ 0 when min(x) ≥ 0", DOUBLE, "2 * x", "x - 1", ONE),
    ("postcondition", "formal: f(x) ≥ x where x ≥ 0", DOUBLE, "2 * x", "x - 1", ONE),
    ("soundness", "formal: f(x) > 0 implies x > 0", DOUBLE, "2 * x", "x * x", "x: -9..9"),
    ("completeness", "formal: x > 0 implies f(x) > 0", DOUBLE, "2 * x", "x - 9", "x: -9..9"),
    ("safety", "formal: '|f(x)| ≤ 18'", DOUBLE, "2 * x", "9 * x", ONE),
    ("liveness", "formal: '∃ i ∈ 0..9: f(x) = 2·i'", DOUBLE, "2 * x", "2 * x + 1", "x: 0..8"),
]
BY_TEMPLATE = [
    ("equivalence", "", DOUBLE, "2 * x", "3 * x", ONE),
    ("bound", "", DOUBLE, "2 * x", "99 * x", ONE),
    ("idempotency", "", "f(x) = abs(x)", "abs(x)", "abs(x) + 1", ONE),
    ("involution", "", "f(x) = −x", "-x", "-abs(x)", ONE),
    ("roundtrip", "inverse: half", DOUBLE, "2 * x", "2 * abs(x)", ONE),
    ("linearity", "", DOUBLE, "2 * x", "2 * x + 1", ONE),
    ("additivity", "", DOUBLE, "2 * x", "x * x", ONE),
    ("homogeneity", "", DOUBLE, "2 * x", "abs(x)", ONE),
    ("symmetry", "", "f(x, y) = x + y", "x + y", "x - y", TWO),
    ("commutativity", "", "f(x, y) = x + y", "x + y", "x - y", TWO),
    ("associativity", "", "f(x, y) = x + y", "x + y", "x - y", TWO),
    ("monotonicity", "", DOUBLE, "2 * x", "-x", ONE),
    ("ordering", "", DOUBLE, "2 * x", "abs(x)", ONE),
    ("conservation", "measure: sum", "f(x) = x", "x[::-1]", "x + 1", ONE),
    ("determinism", "", "f(x) = x", "x", "x + next(counter)", ONE),
    ("frame", "", "f(x) = x", "x + 0", "np.negative(x, out=x)", ONE),
]
BY_PROCEDURE = ["invariant", "precondition", "postcondition", "soundness", "completeness",
                "safety", "liveness"]  # fmt: skip


PROCEDURE = """
import numpy as np

def procedure(implementation, x, compared):
    result = implementation(x)
    compared(result.size)
    assert np.array_equal(result, 2 * x)
"""


def write(project, name: str, claim: str, formula: str, good: str, bad: str, variables: str):
    """Write a contract of this name, and the two functions that it is about."""
    parameters = formula.partition("(")[2].partition(")")[0]
    maps = f"maps_{name}"
    text = (
        "import itertools\nimport numpy as np\ncounter = itertools.count()\n"
        f"def good({parameters}):\n    return {good}\n"
        f"def bad({parameters}):\n    return {bad}\n"
    )
    project.pytester.makepyfile(**{maps: text})
    head = HEAD.format(claim=claim, formula=formula, variables=variables, maps=maps)
    project.contract("", name, head=head)


def judged(project) -> dict[str, dict[str, str]]:
    """All types by formula, template and procedure, in one run."""
    for kind, more, *rest in (*BY_FORMULA, *BY_TEMPLATE):
        write(project, kind, f"type: {kind}, {more}" if more else f"type: {kind}", *rest)
    for kind in BY_PROCEDURE:
        name = f"{kind}_by_procedure"
        project.procedures(PROCEDURE, name)
        write(project, name, f"type: {kind}, run: procedure", DOUBLE, "2 * x", "x * x", ONE)
    with unshrunk():
        project.run(examples=20)
    return project.verdicts_of()


def test_every_type_is_tried():
    tried = {row[0] for row in (*BY_FORMULA, *BY_TEMPLATE)}
    assert tried == set(TYPES)


BOTH = {"A[good]": "HELD", "A[bad]": "FALSIFIED"}


@pytest.mark.parametrize("kind", [row[0] for row in (*BY_FORMULA, *BY_TEMPLATE)])
def test_type_holds_and_is_falsified(project, once, kind):
    assert once("all", lambda: judged(project))[kind] == BOTH


@pytest.mark.parametrize("kind", BY_PROCEDURE)
def test_type_by_procedure_holds_and_is_falsified(project, once, kind):
    assert once("all", lambda: judged(project))[f"{kind}_by_procedure"] == BOTH
