from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.evaluate.pass_at_k import pass_at_k, pass_at_k_exact


@st.composite
def counts(draw: st.DrawFn, largest: int) -> tuple[int, int, int]:
    n = draw(st.integers(1, largest))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@given(counts(7))
def test_the_exact_form_counts_draws(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    draws = list(combinations(range(n), k))
    lucky = sum(min(draw) < c for draw in draws)
    assert pass_at_k_exact(n, c, k) == Fraction(lucky, len(draws))


@given(counts(2000))
def test_the_product_is_exact_but_for_rounding(counts: tuple[int, int, int]) -> None:
    assert abs(pass_at_k(*counts) - pass_at_k_exact(*counts)) < 1e-12


def test_a_million_samples_cost_no_factorial() -> None:
    assert math.isclose(pass_at_k(10**6, 1, 10), 1e-5, rel_tol=1e-9)


@pytest.mark.parametrize("function", [pass_at_k, pass_at_k_exact])
@pytest.mark.parametrize("counts", [(5, 2, 6), (5, 6, 1), (5, 2, 0), (5, -1, 1), (0, 0, 1)])
def test_counts_outside_the_domain_are_refused(
    function: type, counts: tuple[int, int, int]
) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        function(*counts)
