"""Harnesses: the engines' verdicts as pytest outcomes, their assumptions and counterexamples."""

from __future__ import annotations

import pytest

HARNESSES = """
def doubles(k):
    n = k.int("n", 0, k.bound)
    assert n + n == 2 * n

def wrong(k):
    n = k.int("n", 0, k.bound)
    assert n != 5, "five"

def nothing(k):
    n = k.int("n", 0, 3)
    k.assume(n > 7)
    assert False

def endless(k):
    n = k.int("n", 0, 10**12)
    total = 0
    for i in range(n):
        total += i

def with_parameter(k, offset):
    assert k.int("n", 0, 3) + offset >= offset
"""


def run(project, harness: str, *arguments: str) -> tuple[pytest.RunResult, dict[str, dict]]:
    """Write one harness, run it, return pytest's result and the ledger."""
    project.procedures(HARNESSES)
    project.contract(f"kani_harnesses:\n  - {{id: KANI-1, property: P, {harness}}}")
    return project.run(*arguments), project.ledger()


def test_confirmed_says_under_what_assumptions(project):
    result, ledger = run(project, "run: doubles, bound: 8, strategy: exhaustive")
    result.assert_outcomes(passed=1)
    record = ledger["KANI-1"]
    assert (record["verdict"], record["level"], record["kind"]) == ("CONFIRMED", "L4", "harness")
    assert "all 9 cases enumerated" in record["message"]
    assert record["compared"] == 9


def test_falsified_shows_the_values(project):
    result, ledger = run(project, "run: wrong, bound: 8, strategy: exhaustive")
    result.assert_outcomes(failed=1)
    assert ledger["KANI-1"]["verdict"] == "FALSIFIED"
    result.stdout.fnmatch_lines(
        [
            "contracts/kernels/softmax-v1.yaml:*: FALSIFIED: P: *five*",
            "  run: *wrong in softmax_v1.py",
            "  counterexample:",
            "    n: 5",
            '*assert n != 5, "five"',
        ]
    )


def test_vacuous_harness_fails(project):
    result, ledger = run(project, "run: nothing, bound: 8, strategy: exhaustive")
    result.assert_outcomes(failed=1)
    assert ledger["KANI-1"]["verdict"] == "VACUOUS"


def test_time_out_is_inconclusive_and_fails_when_strict(project):
    harness = "run: endless, bound: 8, strategy: bounded_int, solver: crosshair, timeout: 0.5"
    result, ledger = run(project, harness)
    result.assert_outcomes(xfailed=1)
    assert ledger["KANI-1"]["verdict"] == "INCONCLUSIVE"
    result, _ = run(project, harness, "--contracts-strict")
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("asked", ["strategy: stub_float", "solver: z3"])
def test_what_is_not_built_is_inconclusive(project, asked):
    result, ledger = run(project, f"run: doubles, bound: 8, {asked}")
    result.assert_outcomes(xfailed=1)
    assert ledger["KANI-1"]["verdict"] == "INCONCLUSIVE"
    assert ledger["KANI-1"]["message"].startswith("not built yet: ")
    run(project, f"run: doubles, bound: 8, {asked}", "--contracts-strict")[0].assert_outcomes(
        failed=1
    )


def test_failure_has_no_absolute_path(project):
    result, ledger = run(project, "run: wrong, bound: 8, strategy: exhaustive")
    assert "(contracts/kernels/softmax_v1.py:" in ledger["KANI-1"]["message"]
    shown = result.stdout.str().partition("= FAILURES =")[2]
    assert 'File "contracts/kernels/softmax_v1.py", line' in shown
    assert str(project.pytester.path) not in shown


def test_harness_without_run_is_prose(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}
        kani_harnesses:
          - {id: KANI-1, obligation: A, bound: 8, strategy: exhaustive}
        """
    )
    project.run().assert_outcomes(passed=2, skipped=1)


def test_parameters_reach_the_harness(project):
    _, ledger = run(
        project,
        "run: with_parameter, bound: 3, strategy: exhaustive, parametrize: {offset: [1, 2]}",
    )
    assert {name: r["verdict"] for name, r in ledger.items()} == {
        "KANI-1[1]": "CONFIRMED",
        "KANI-1[2]": "CONFIRMED",
    }


def test_symbolic_marker(project):
    project.procedures(HARNESSES)
    project.contract("kani_harnesses:\n  - {id: KANI-1, property: P, run: doubles, bound: 2}")
    assert "KANI-1" in project.run("--co", "-q", "-m", "symbolic").stdout.str()
