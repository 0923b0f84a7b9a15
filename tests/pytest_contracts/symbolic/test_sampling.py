"""What is tried on the machine before the path engine: edges, chance, limits."""

from __future__ import annotations

import pytest

from pytest_contracts.errors import ContractBindingError
from pytest_contracts.symbolic import sampling
from pytest_contracts.symbolic.sampling import DRAWS

NEVER_S = 60.0


def sample(harness, bound, cpu_s=NEVER_S):
    return sampling.sample(harness, bound, cpu_s=cpu_s)


def seen(lo: int | None, hi: int | None) -> set[int]:
    values = set()
    sample(lambda k: values.add(k.int("n", lo, hi)), None)
    return values


def test_ends_of_domains_and_of_types_are_tried():
    values = seen(0, 2**60)
    assert {0, 1, 2**60 - 1, 2**60, 2**31, 2**24 + 1, 2**53 - 1, 2**53, 2**53 + 1} <= values
    assert min(values) == 0
    assert max(values) == 2**60


def test_integers_without_ends_reach_beyond_every_float():
    values = seen(None, None)
    assert any(v > 2**1024 for v in values)
    assert any(v < -(2**1024) for v in values)
    assert min(seen(5, None)) == 5


def test_it_draws_the_same_each_time_and_not_for_ever():
    runs = []
    for _ in range(2):
        values: list[tuple[int, bool, bytes]] = []

        def harness(k, values=values):
            values.append((k.int("n", -5, 5), k.bool("b"), k.bytes("q", 3)))

        found = sample(harness, None)
        assert found.runs == len(values) == DRAWS
        assert found.complete
        runs.append(values)
    assert runs[0] == runs[1]


def test_the_first_failing_values_are_kept():
    def fails(k):
        n = k.int("n", k.bound, 100)
        assert n < 99

    found = sample(fails, 3)
    assert found.failing is not None
    assert found.failing["n"] >= 99


def test_assumptions_and_empty_domains_leave_values_out():
    def odd(k):
        k.assume(k.int("n", 0, 9) % 2)
        assert k.values["n"] % 2

    assert sample(odd, None).failing is None
    assert sample(odd, None).meeting is not None
    assert sample(lambda k: k.int("n", 3, 2), None).meeting is None


def test_a_swallowed_assumption_is_no_failure():
    def swallows(k):
        try:
            k.assume(False)
        except BaseException:
            raise AssertionError from None

    found = sample(swallows, None)
    assert (found.failing, found.meeting) == (None, None)


def test_what_is_slow_or_large_shows_neither_way():
    def endless(k):
        while k is not None:
            pass

    found = sample(endless, None, 0.1)
    assert (found.failing, found.complete, found.runs) == (None, False, 1)

    def large(k):
        raise MemoryError

    assert sample(large, None).failing is None


def test_misuse_of_k_passes_through():
    with pytest.raises(ContractBindingError, match="gives no bound"):
        sample(lambda k: k.bound, None)
