"""The engines inside this process: what the worker does, where it can be measured."""

from __future__ import annotations

import pytest

from pytest_contracts.errors import ContractBindingError
from pytest_contracts.symbolic import explorer, verification
from pytest_contracts.symbolic.explorer import explore
from pytest_contracts.symbolic.verification import _preload_crosshair, _run_engines

BOTH = ("enumerate", "crosshair")


@pytest.fixture(autouse=True, scope="module")
def crosshair():
    _preload_crosshair()


def bounded(k):
    n = k.int("n", 0, 10**8)
    k.cover("large", n > 10**7)
    assert n <= 10**8


def test_paths_are_counted_and_exhausted():
    found = explore(bounded, None, cpu_s=20)
    assert found.exhausted
    assert not found.approximated
    assert found.tally.counted == found.paths == 2
    assert found.tally.covers == {"large": 1}
    assert found.tally.bounded()


def test_a_failing_path_ends_the_search_with_its_values():
    def at_most(k):
        assert k.int("n", 0, 10**8) < 77

    found = explore(at_most, None, cpu_s=20)
    assert found.failing is not None
    assert found.failing["n"] >= 77
    assert type(found.failing["n"]) is int


def test_bounds_that_are_drawn_themselves():
    def between(k):
        low, high = k.int("low", 0, 10**8), k.int("high", 0, 10**8)
        n = k.int("n", low, high)
        assert low <= n <= high

    found = explore(between, None, cpu_s=20)
    assert found.exhausted
    assert found.tally.counted == 1
    assert found.paths > 1  # where high < low nothing can be drawn


def test_what_cannot_be_modelled_is_counted_by_reason():
    def undecidable(k):
        x, y, z = (k.int(name, 1, 10**6) for name in "xyz")
        assert x * x * x + y * y * y != z * z * z

    found = explore(undecidable, None, cpu_s=1)
    assert found.failing is None
    assert found.unknown == {"UnknownSatisfiability": 1}
    assert "the solver could not decide a condition (1 of 1 paths)" in found.unknown_text()


@pytest.mark.parametrize("units", [1, 10**6])
def test_a_question_is_given_up_after_counted_work_and_no_time(monkeypatch, units):
    """However fast the machine is: what one unit does not settle, a million do."""
    monkeypatch.setattr(explorer, "QUERY_UNITS_PER_S", units)

    def product(k):
        n, m = k.int("n", 1, 10**8), k.int("m", 1, 10**8)
        assert n * m >= n

    found = explore(product, None, cpu_s=5)
    assert bool(found.unknown) == (units == 1)
    assert found.exhausted


def test_a_harness_that_changes_is_not_confirmed():
    calls = []

    def unstable(k):
        calls.append(0)
        n = k.int("n", 0, 10**8)
        if len(calls) % 2:
            assert n != -1 or k.bool("b")
        if n > 5:
            return

    found = explore(unstable, None, cpu_s=5)
    assert found.failing is None
    assert found.unknown or found.exhausted


def test_errors_of_the_contract_pass_through():
    with pytest.raises(ContractBindingError, match="gives no bound"):
        explore(lambda k: k.bound, None, cpu_s=5)


@pytest.mark.parametrize(
    ("harness", "engines", "verdict"),
    [
        (bounded, BOTH, "CONFIRMED"),
        (lambda k: k.int("n", 0, 3), BOTH, "CONFIRMED"),
        (lambda k: k.assume(k.bool("b") and not k.values["b"]), ("enumerate",), "VACUOUS"),
        (lambda k: k.assume(k.int("n", 0, 10**8) < 0), BOTH, "VACUOUS"),
        (lambda k: k.cover("never", False), BOTH, "VACUOUS"),
        (lambda k: [][k.int("n", 0, 3)], BOTH, "FALSIFIED"),
        (lambda k: [][k.int("n", 0, 10**8)], BOTH, "FALSIFIED"),
        (lambda k: k.int("n"), ("enumerate",), "INCONCLUSIVE"),
    ],
)
def test_verdicts_of_the_engines(harness, engines, verdict):
    result = _run_engines(harness, 4, engines, 20)
    assert result["verdict"] == verdict
    assert bool(result.get("reason")) == (verdict != "CONFIRMED")
    assert bool(result.get("values")) == (verdict == "FALSIFIED")


def test_time_that_runs_out_is_inconclusive():
    result = _run_engines(lambda k: k.int("n", 0, 10), None, ("enumerate",), -1.0)
    assert result["verdict"] == "INCONCLUSIVE"
    assert "stopped after 0 cases" in result["reason"]
    result = _run_engines(bounded, None, ("crosshair",), -1.0)
    assert result["verdict"] == "INCONCLUSIVE"
    assert "stopped after 0 paths" in result["reason"]


def test_a_counterexample_that_fails_only_in_the_model_is_inconclusive():
    result = verification._replay(lambda k: k.int("n", 0, 9), None, {"n": 4})
    assert result["verdict"] == "INCONCLUSIVE"
    assert result["reason"].endswith("not reproduced by running it (n = 4)")
    result = verification._replay(lambda k: k.int("n", 5, 9), None, {"n": 4})
    assert "leaves the harness's domain" in result["reason"]
    result = verification._replay(lambda k: k.bool("b"), None, {})
    assert result["reason"].endswith("when run")


def test_an_inexact_model_of_floats_does_not_confirm(monkeypatch):
    """CrossHair caps what it proves with real numbers in the place of floats."""
    found = explore(bounded, None, cpu_s=20)
    found.approximated = True
    monkeypatch.setattr(verification, "explore", lambda *_, **__: found)
    result = _run_engines(bounded, None, ("crosshair",), 20)
    assert result["verdict"] == "INCONCLUSIVE"
    assert "inexact model of floats" in result["reason"]


def test_real_float_search_is_marked_as_approximate():
    def tenths(k):
        x = k.int("n", 0, 10**8) * 0.1
        assert x <= 10**8

    found = explore(tenths, None, cpu_s=3)
    assert found.failing is None
    assert found.approximated


@pytest.mark.parametrize("ends", [False, True])
def test_reals_are_marked_whether_or_not_the_search_over_ieee_floats_ends(monkeypatch, ends):
    """That it ends is a matter of work, and what was taken for a real number is not."""
    monkeypatch.setattr(explorer, "QUERY_UNITS_PER_S", 5_000_000 if ends else 1_000)

    def halves(k):
        assert k.int("n", 0, 8) * 0.5 <= 8

    found = explore(halves, None, cpu_s=5)
    assert found.exhausted
    assert bool(found.unknown) != ends
    assert not found.inexact
    assert found.approximated
