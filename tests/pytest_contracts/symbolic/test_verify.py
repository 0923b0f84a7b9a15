"""The verdicts of whole harnesses, each judged in its forked worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from pytest_contracts.errors import ContractBindingError
from pytest_contracts.symbolic import SymbolicResult, verify


def ceiling_covers(k):
    n, block = k.int("n", 1, 2**31), k.int("block", 1, 1024)
    blocks = (n + block - 1) // block
    assert blocks * block >= n
    assert (blocks - 1) * block < n


def floor_covers(k):
    n, block = k.int("n", 1, 2**31), k.int("block", 1, 1024)
    assert (n // block) * block >= n


def index_in_range(k):
    [1, 2, 3, 4][k.int("i", 0, 4)]


def scale_and_min(k, shift):
    q, j = k.bytes("q", 12), k.int("j", 0, 7)
    scale = q[j] & 63 if j < 4 else (q[j + 4] & 15) + ((q[j - 4] >> shift) << 4)
    k.cover("low half", j < 4)
    k.cover("high half", j >= 4)
    assert 0 <= scale < 64


def nothing_drawn(k):
    assert True


def test_all_cases_enumerated():
    def square_is_not_negative(k):
        n = k.int("n", -k.bound, k.bound)
        assert n * n >= 0

    result = verify(square_is_not_negative, bound=8)
    assert result == SymbolicResult(
        verdict="CONFIRMED",
        assumptions=("for -8 ≤ n ≤ 8", "all 17 cases enumerated", "bound 8"),
        paths=17,
        solver="enumerate",
        cpu_s=result.cpu_s,
    )
    assert str(result) == "CONFIRMED for -8 ≤ n ≤ 8, all 17 cases enumerated, bound 8"


def test_every_path_explored_where_the_domain_is_large():
    result = verify(ceiling_covers)
    assert (result.verdict, result.solver) == ("CONFIRMED", "crosshair")
    assert result.assumptions == ("for 1 ≤ n ≤ 2147483648, 1 ≤ block ≤ 1024", "over all paths")
    assert result.paths >= 1


def test_counterexample_is_replayed_and_located():
    result = verify(floor_covers)
    assert (result.verdict, result.solver) == ("FALSIFIED", "crosshair")
    n, block = result.values["n"], result.values["block"]
    assert type(n) is int
    assert (n // block) * block < n
    assert result.reason.startswith("AssertionError: assert ")
    assert "test_verify.py:" in result.reason
    assert "in floor_covers" in result.traceback


@pytest.mark.parametrize("solver", ["enumerate", "crosshair"])
def test_both_engines_find_an_index_error(solver):
    result = verify(index_in_range, solver=solver)
    assert result.verdict == "FALSIFIED"
    assert result.values == {"i": 4}
    assert result.reason.startswith("IndexError: list index out of range")


def test_bytes_and_cover_goals():
    result = verify(lambda k: scale_and_min(k, 6))
    assert result.verdict == "CONFIRMED"
    assert result.covers.keys() == {"low half", "high half"}
    assert min(result.covers.values()) >= 1


def test_a_wrong_shift_is_found_with_its_bytes():
    result = verify(lambda k: scale_and_min(k, 5))
    assert result.verdict == "FALSIFIED"
    assert result.values["j"] >= 4
    assert isinstance(result.values["q"], bytes)
    assert result.values["q"][result.values["j"] - 4] >> 5 > 3


@pytest.mark.parametrize("size", [10, 2**40])
def test_no_value_meets_the_assumptions(size):
    def impossible(k):
        n = k.int("n", 0, size)
        k.assume(n > size)
        assert n == 0

    result = verify(impossible)
    assert result.verdict == "VACUOUS"
    assert "meets the assumptions" in result.reason


def test_an_empty_domain_is_vacuous():
    assert verify(lambda k: k.int("n", 3, 2)).verdict == "VACUOUS"
    assert verify(lambda k: k.int("n", 3, 2), solver="crosshair").verdict == "VACUOUS"


@pytest.mark.parametrize("size", [10, 2**40])
def test_a_cover_goal_that_is_never_reached_is_vacuous(size):
    def uncovered(k):
        n = k.int("n", 0, size)
        k.cover("negative", n < 0)

    result = verify(uncovered)
    assert result.verdict == "VACUOUS"
    assert result.covers == {"negative": 0}
    assert "'negative' is never reached" in result.reason


def test_a_goal_reached_only_by_discarded_runs_is_not_reached():
    def covered_then_discarded(k):
        n = k.int("n", 0, 4)
        k.cover("four", n == 4)
        k.assume(n < 4)

    assert verify(covered_then_discarded).verdict == "VACUOUS"
    assert verify(covered_then_discarded, solver="crosshair").verdict == "VACUOUS"


def test_enumeration_says_how_many_cases_counted():
    def even(k):
        k.assume(k.int("n", 0, 9) % 2 == 0)

    result = verify(even)
    assert "all 10 cases enumerated, 5 of them within the assumptions" in result.assumptions


@pytest.mark.parametrize("solver", ["enumerate", "crosshair"])
def test_a_harness_without_draws_shows_nothing(solver):
    result = verify(nothing_drawn, solver=solver)
    assert (result.verdict, result.reason.split(",")[0]) == (
        "VACUOUS",
        "the harness draws nothing",
    )


def test_domain_that_depends_on_a_draw():
    def index_below_length(k):
        n = k.int("n", 1, 2**40)
        i = k.int("i", 0, n - 1)
        k.cover("last", i == n - 1)
        assert 0 <= i < n

    result = verify(index_below_length)
    assert result.verdict == "CONFIRMED"
    assert result.assumptions[0] == "for 1 ≤ n ≤ 1099511627776, 0 ≤ i"


def test_unbounded_draws_go_to_the_path_engine():
    assert verify(lambda k: k.int("n")).solver == "crosshair"
    assert not verify(lambda k: k.int("n"), bound=3).bounded
    assert verify(lambda k: (k.int("n"), k.int("m", 0, 10**9))).bounded
    result = verify(lambda k: k.int("n"), strategy="exhaustive")
    assert (result.verdict, result.solver) == ("INCONCLUSIVE", "enumerate")
    assert result.reason == "the domain is too large: n is unbounded"


def test_exhaustive_stops_at_the_greatest_number_of_cases(monkeypatch):
    monkeypatch.setattr("pytest_contracts.symbolic.enumerate.MAX_CASES", 1000)
    assert verify(lambda k: k.int("n", 1, 1000), strategy="exhaustive").verdict == "CONFIRMED"
    result = verify(lambda k: k.int("n", 0, 1000), strategy="exhaustive")
    assert (result.verdict, result.solver) == ("INCONCLUSIVE", "enumerate")
    assert result.reason == "the domain is too large: more than 1,000 cases"


def test_fermat_is_inconclusive_not_confirmed():
    def no_cubes(k):
        x, y, z = (k.int(name, 1, 10**6) for name in "xyz")
        assert x * x * x + y * y * y != z * z * z

    result = verify(no_cubes, timeout_s=2)
    assert result.verdict == "INCONCLUSIVE"
    assert "could not decide" in result.reason or "CPU time" in result.reason


def test_float_identity_that_holds_over_the_reals_only_is_not_confirmed():
    def add_and_subtract(k):
        x = k.int("n", 0, 10**7) / 10
        assert (x + 0.1) - 0.1 == x

    assert verify(add_and_subtract, timeout_s=2).verdict in ("INCONCLUSIVE", "FALSIFIED")


@pytest.mark.parametrize("with_branches", [False, True])
def test_an_endless_loop_is_inconclusive(with_branches):
    def endless(k):
        n = k.int("n", 0, 10**9)
        while n != -1 if with_branches else True:
            pass

    result = verify(endless, timeout_s=0.7)  # so a second of CPU time: its limit is whole seconds
    assert result.verdict == "INCONCLUSIVE"
    assert "CPU" in result.reason or "wall" in result.reason


def test_waiting_without_using_the_cpu_meets_the_wall_limit():
    result = verify(lambda k: time.sleep(600), timeout_s=0.3)
    assert result.verdict == "INCONCLUSIVE"
    assert "wall time" in result.reason


def test_a_worker_that_dies_is_inconclusive():
    result = verify(lambda k: os._exit(0))
    assert result.verdict == "INCONCLUSIVE"
    assert result.reason == "the worker exited with status 0 and no answer"
    result = verify(lambda k: os.abort(), bound=3)
    assert (result.verdict, result.assumptions) == ("INCONCLUSIVE", ("bound 3",))
    assert "SIGABRT" in result.reason


def test_running_out_of_memory_is_inconclusive():
    result = verify(lambda k: bytearray(1 << 40))
    assert (result.verdict, result.reason) == ("INCONCLUSIVE", "out of memory (4096 MiB)")


@pytest.mark.parametrize("size", [3, 10**9])
def test_files_are_not_written(tmp_path, size):
    target = tmp_path / "written"

    def writes(k):
        k.int("n", 0, size)
        target.write_text("x")

    result = verify(writes)
    assert result.verdict == "INCONCLUSIVE"
    assert "side effects" in result.reason
    assert not target.exists()


def test_a_harness_that_draws_differently_each_time_is_inconclusive():
    calls = []

    def forgetful(k):
        k.int("n", 0, 5)
        calls.append(0)
        k.int("m", 0, len(calls))

    def fewer(k):
        calls.append(0)
        if len(calls) < 3:
            k.int("n", 0, 5)

    for harness in (forgetful, fewer):
        result = verify(harness, solver="enumerate")
        assert result.verdict == "INCONCLUSIVE"
        assert "when" in result.reason
        assert "run again" in result.reason


def test_a_failure_that_does_not_happen_again_is_inconclusive():
    calls = []

    def fails_once(k):
        k.int("n", 0, 5)
        calls.append(0)
        assert len(calls) != 3

    result = verify(fails_once)
    assert result.verdict == "INCONCLUSIVE"
    assert "not reproduced" in result.reason


def test_swallowed_discards_do_not_count_as_passed():
    def swallows(k):
        n = k.int("n", 0, 10**9)
        try:
            k.assume(n > 10**9)
        except BaseException:
            return

    assert verify(swallows, solver="crosshair").verdict == "VACUOUS"


def test_what_the_harness_prints_stays_in_the_worker(capfd):
    assert verify(lambda k: print("noise", k.int("n", 0, 1))).verdict == "CONFIRMED"
    assert verify(lambda k: os.write(1, b"%d" % k.int("n", 0, 1))).verdict == "CONFIRMED"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "asked", [{"strategy": "stub_float"}, {"strategy": "compositional"}, {"solver": "z3"}]
)
def test_what_is_not_built_is_inconclusive(asked):
    result = verify(nothing_drawn, **asked)
    ((key, name),) = asked.items()
    assert (result.verdict, result.reason) == ("INCONCLUSIVE", f"not built yet: {key} '{name}'")


@pytest.mark.parametrize("key", ["strategy", "solver"])
def test_unknown_engines_are_refused(key):
    with pytest.raises(ContractBindingError, match=f"there is no {key} 'typo'"):
        verify(nothing_drawn, **{key: "typo"})


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_limit_is_positive_and_finite(timeout):
    with pytest.raises(ContractBindingError, match="time limit"):
        verify(nothing_drawn, timeout_s=timeout)


@pytest.mark.parametrize("solver", ["enumerate", "crosshair"])
def test_misuse_of_k_is_the_contracts_fault(solver):
    def twice(k):
        k.int("n", 0, 1)
        k.int("n", 0, 1)

    with pytest.raises(ContractBindingError, match="draws 'n' twice"):
        verify(twice, solver=solver)
    with pytest.raises(ContractBindingError, match="gives no bound"):
        verify(lambda k: k.bound, solver=solver)


def test_engines_see_the_same_domain():
    """Both engines agree on small harnesses, true and false ones."""

    def within(k):
        a, b = k.int("a", -3, 3), k.bool("b")
        assert a * a <= (9 if b else 8)

    enumerated = verify(within, solver="enumerate")
    explored = verify(within, solver="crosshair")
    for result in (enumerated, explored):
        assert result.verdict == "FALSIFIED"
        assert abs(result.values["a"]) == 3
        assert result.values["b"] is False


def test_importing_the_package_does_not_import_crosshair():
    code = "import sys, pytest_contracts.symbolic; sys.exit('crosshair' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
