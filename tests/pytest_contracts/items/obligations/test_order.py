"""Order of two numbers, and order of elements kept exactly: distinct and equal stay so."""

from __future__ import annotations

CODE = """
def good(x):
    return 2 * x

def bad(x):
    return x.clip(-1, 1)
"""


def test_ordering_keeps_the_ranks(bench):
    assert bench.judge("type: ordering", CODE) == {"good": "HELD", "bad": "FALSIFIED"}
    bench.shows("FALSIFIED: P: ranks(f(x)) = ranks(x)", "counterexample:")


def test_ordering_may_be_reversed(bench):
    code = "def good(x):\n    return -x\n\ndef bad(x):\n    return x\n"
    claim = "type: ordering, direction: decreasing"
    assert bench.judge(claim, code) == {"good": "HELD", "bad": "FALSIFIED"}
    assert bench.judge("type: ordering", code) == {"good": "FALSIFIED", "bad": "HELD"}


def test_ordering_of_a_number_says_nothing(bench):
    verdicts = bench.judge("type: ordering", CODE, variables="x: 1..9")
    assert verdicts == {"good": "VACUOUS", "bad": "VACUOUS"}


def test_monotonicity_of_two_numbers(bench):
    code = "def good(n):\n    return 2 * n\n\ndef bad(n):\n    return n % 50\n"
    rest = {"formula": "f(n) = 2·n", "variables": "n: 0..100"}
    assert bench.judge("type: monotonicity", code, **rest) == {"good": "HELD", "bad": "FALSIFIED"}
    bench.shows("FALSIFIED: P: f(n) ≤ f(n2)", "counterexample:", "n2: 50")
    falling = "type: monotonicity, direction: decreasing"
    assert bench.judge(falling, code, **rest) == {"good": "FALSIFIED", "bad": "FALSIFIED"}
    wide = "type: monotonicity, tolerance: 50"
    assert bench.judge(wide, code, **rest) == {"good": "HELD", "bad": "HELD"}
