from __future__ import annotations

import itertools

import pytest

from pytest_contracts.symbolic.draws import ConcreteDraws, Discarded, Domain
from pytest_contracts.symbolic.enumerate import TooLarge, enumerate_cases


def cases_of(harness, bound=None):
    seen = []

    def recording(k):
        harness(k)
        seen.append(dict(k.values))

    found = enumerate_cases(recording, bound, cpu_s=10)
    assert found.complete
    return seen


def test_every_combination_runs_once_in_order():
    def three(k):
        k.int("a", -1, 1)
        k.bool("b")
        k.int("c", 5, 5)

    expected = [{"a": a, "b": b, "c": 5} for a, b in itertools.product((-1, 0, 1), (False, True))]
    assert cases_of(three) == expected


def test_one_draw_may_bound_and_prune_the_next():
    def triangle(k):
        n = k.int("n", 0, 3)
        k.assume(n != 2)
        for i in range(n):
            k.int(f"x{i}", 0, i)

    sizes = [len(case) - 1 for case in cases_of(triangle)]
    assert sizes == [0, 1, *[3] * 6]


def test_bytes_are_enumerated_in_full():
    values = [case["q"] for case in cases_of(lambda k: k.bytes("q", 1))]
    assert values == [bytes([value]) for value in range(256)]


def test_the_first_failing_case_ends_the_walk():
    def up_to_three(k):
        assert k.int("n", 0, 9) < 4

    found = enumerate_cases(up_to_three, None, cpu_s=10)
    assert (found.failing, found.cases, found.complete) == ({"n": 4}, 5, False)


def test_time_ends_the_walk():
    found = enumerate_cases(lambda k: k.int("n", 0, 10**5), None, cpu_s=-1)
    assert (found.cases, found.complete, found.failing) == (0, False, None)


def test_a_large_branch_is_given_up_before_it_is_walked():
    runs = []

    def large(k):
        runs.append(k.int("n", 0, 10**6))

    with pytest.raises(TooLarge, match="1,000,001 cases"):
        enumerate_cases(large, None, cpu_s=10, give_up_early=True)
    assert runs == [0]


def test_domains_widen_over_the_runs():
    def dependent(k):
        n = k.int("n", 1, 3)
        k.int("m", -n, n)

    found = enumerate_cases(dependent, None, cpu_s=10)
    assert found.tally.domain_text() == "for 1 ≤ n ≤ 3, -3 ≤ m ≤ 3"


def test_many_domains_are_abridged():
    def many(k):
        for i in range(9):
            k.int(f"x{i}", 0, 0)

    text = enumerate_cases(many, None, cpu_s=10).tally.domain_text()
    assert text.endswith("0 ≤ x5 ≤ 0, 3 more draws")


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (Domain("int", None, None), "n any integer"),
        (Domain("int", 1, None), "1 ≤ n"),
        (Domain("int", None, 4), "n ≤ 4"),
        (Domain("bool", 0, 1), "n ∈ {False, True}"),
        (Domain("bytes", 12, 12), "n of 12 bytes"),
        (Domain("bytes", 1, 2), "n of any bytes"),
    ],
)
def test_domains_read_as_mathematics(domain, text):
    assert domain.describe("n") == text


def test_widening_keeps_an_open_end_open():
    assert Domain("int", 0, None).widened(Domain("int", 1, 2)) == Domain("int", 0, None)
    assert Domain("int", None, 3).widened(Domain("int", 1, 5)) == Domain("int", None, 5)


@pytest.mark.parametrize(
    "draw",
    [
        lambda k: k.int("n", 5, 9),
        lambda k: k.int("n", 0, 3),
        lambda k: k.int("absent", 0, 3),
        lambda k: k.bytes("q", 3),
        lambda k: k.assume(False),
    ],
)
def test_replay_outside_the_domain_is_discarded(draw):
    with pytest.raises(Discarded):
        draw(ConcreteDraws({"n": 4, "q": b"ab"}))


def test_replay_returns_the_given_values():
    k = ConcreteDraws({"n": 4, "q": b"ab", "b": True}, bound=7)
    assert (k.int("n"), k.bytes("q", 2), k.bool("b"), k.bound) == (4, b"ab", True, 7)
    k.assume(True)
