"""Equivalence with another implementation in place of the definition."""

from __future__ import annotations

import pytest

THREE = 'reference: "maps:reference", good: "maps:good", bad: "maps:bad"'
CODE = """
def reference(x):
    return [0.1 + 2 * v for v in x]

def good(x):
    return 0.1 + 2 * x.astype(np.float64)

def bad(x):
    return np.float32(0.1) + 2 * x
"""


def test_implementations_are_compared_with_each_other(bench):
    claim = "type: equivalence, to: reference"
    assert bench.judge(claim, CODE, implementations=THREE) == {"good": "HELD", "bad": "FALSIFIED"}
    bench.shows("FALSIFIED: P: f(x) = f_reference(x)", "counterexample:")
    ran = bench.project.ledger()["A[good]"]["ran"]
    assert ran == {"f": "maps:good", "f_reference": "maps:reference"}


def test_its_own_formula_is_judged_beside_it(bench):
    claim = "type: equivalence, to: reference, formal: f(x) > −100"
    assert bench.judge(claim, CODE, implementations=THREE) == {"good": "HELD", "bad": "FALSIFIED"}
    claim = "type: equivalence, to: reference, formal: f(x) > 0, applies_to: good"
    assert bench.judge(claim, CODE, implementations=THREE) == {"good": "FALSIFIED"}


def test_what_is_missing_is_said(bench):
    bench.refuses("type equivalence: to names 'cuda'", "type: equivalence, to: cuda")
    bench.refuses(
        "type equivalence: 'good' would be compared with itself",
        "type: equivalence, to: good, applies_to: good",
    )


@pytest.mark.parametrize(
    ("message", "claim"),
    [
        ("'threads' says nothing in a claim of type involution", "type: involution, threads: 2"),
        (
            "'over' says nothing in a claim of type completeness that has formal or run",
            "type: completeness, over: any, formal: f(x) = f(x)",
        ),
        ("'inverse' says nothing in a claim of type safety", "type: safety, inverse: f"),
    ],
)
def test_a_key_that_nothing_reads_is_refused(bench, message, claim):
    bench.refuses(message, claim)
