"""Determinism with a varied number of threads, and what a call may touch."""

from __future__ import annotations

import pytest

THREADS = """
def good(x, threads=None):
    calls.append(threads)
    return 2 * x

def bad(x, threads=1):
    return 2 * x + np.float32(1e-3) * (threads > 2)

calls = []
"""


def test_determinism_varies_the_number_of_threads(bench):
    verdicts = bench.judge("type: determinism, threads: [1, 2, 4]", THREADS)
    assert verdicts == {"good": "HELD", "bad": "FALSIFIED"}
    bench.shows("FALSIFIED: P: f with 1 and with 4 threads are bit-identical", "counterexample:")
    verdicts = bench.judge("type: determinism, threads: 2", THREADS)
    assert verdicts == {"good": "HELD", "bad": "HELD"}


def test_threads_reach_the_implementation(bench):
    code = THREADS.replace("calls.append(threads)", "assert threads in (3, 5), threads")
    assert bench.judge("type: determinism, threads: [3, 5]", code)["good"] == "HELD"
    assert bench.judge("type: determinism, threads: [3, 4]", code)["good"] == "FALSIFIED"


def test_an_implementation_without_threads_is_not_taken_for_one(bench):
    bench.refuses("'good' of f has no keyword 'threads' to vary", "type: determinism, threads: 2")


def test_results_that_are_no_single_array(bench):
    code = """
    import itertools
    count = itertools.count()

    def good(x):
        return x, {"sum": x.sum()}

    def bad(x):
        return x, {"sum": x.sum() + next(count) % 2}
    """
    assert bench.judge("type: determinism", code) == {"good": "HELD", "bad": "FALSIFIED"}


FRAME = """
from collections import Counter

totals = {"calls": [0]}
settings = np.zeros(3)

def good(x, out):
    return x + out

def bad(x, out):
    if x.size > 1:
        x[1] = 7
    out[:] = 0
    totals["calls"][0] += 1
    return x + out
"""
PAIR = {
    "formula": "f(x, out) = x + out",
    "variables": "n: 1..6, x: {dtype: float32, shape: [n], range: [-9, 9]}, "
    "out: {dtype: float32, shape: [n], range: [1, 2]}",
}


@pytest.mark.parametrize(
    ("claim", "bad", "shown"),
    [
        ("type: frame", "FALSIFIED", "f(x, out) leaves out as it was"),
        ("type: frame, modifies: out", "FALSIFIED", "f(x, out) leaves x as it was"),
        ("type: frame, modifies: [x, out], state: maps:settings", "HELD", ""),
        (
            "type: frame, modifies: [x, out], state: [maps:totals, maps:settings]",
            "FALSIFIED",
            "f(x, out) leaves maps:totals as it was",
        ),
        (
            "type: frame, modifies: [out, maps:totals], state: maps:totals",
            "FALSIFIED",
            "f(x, out) leaves x as it was",
        ),
    ],
)
def test_frame(bench, claim, bad, shown):
    assert bench.judge(claim, FRAME, **PAIR) == {"good": "HELD", "bad": bad}
    bench.shows(f"FALSIFIED: P: {shown}" if shown else "2 held")


def test_frame_shows_the_element_that_changed(bench):
    bench.judge("type: frame, modifies: out", FRAME, **PAIR)
    bench.shows("left*0*", "right*7*")


def test_frame_of_lists(bench):
    code = "def reference(x):\n    x.append(1.0)\n    return x\n"
    named = 'reference: "maps:reference"'
    assert bench.judge("type: frame", code, implementations=named) == {"reference": "FALSIFIED"}


def test_frame_of_numbers_alone_says_nothing(bench):
    code = "def good(x):\n    return x\n"
    assert bench.judge("type: frame", code, variables="x: 1..9") == {"good": "VACUOUS"}


@pytest.mark.parametrize(
    ("message", "claim"),
    [
        ("type frame: modifies names 'out'", "type: frame, modifies: out"),
        ("type frame: modifies names everything", "type: frame, modifies: x"),
        ("maps has no attribute 'ghost'", "type: frame, state: maps:ghost"),
        ("'ghost' is not of the form module:attribute", "type: frame, state: ghost"),
        ("the state of a lock cannot be hashed", "type: frame, state: maps:lock"),
    ],
)
def test_what_is_missing_is_said(bench, message, claim):
    code = "import threading\n\nlock = threading.Lock()\n\ndef good(x):\n    return x\n"
    bench.refuses(message, claim, code)
