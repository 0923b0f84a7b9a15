"""Procedures of the pass@k contract: the estimator beside exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inference.evaluate import pass_at_k as subject
from pytest_contracts.symbolic import Draws

# Every factor rounds twice, at most 200 factors: 400 units of 2^-53 bound the distance.
_ROUNDING = 400 * 2.0**-53


def agrees_with_the_binomials(n: int, c: int, k: int, compared: Callable[..., None]) -> None:
    """Compare one estimate with 1 − C(n−c, k)/C(n, k) in rational arithmetic."""
    compared(1, what="pass@k")
    exact = subject.pass_at_k_exact(n, c, k)
    assert abs(subject.pass_at_k(n, c, k) - exact) <= _ROUNDING


def refuses_counts_outside_the_domain(
    n: int, c: int, k: int, compared: Callable[..., None]
) -> None:
    """Try one count too many, and one too few, of each kind."""
    outside = [(n, c, n + k), (n, n + k, k), (n, c, 0), (n, c, -k), (n, -1, k), (0, 0, k)]
    for counts in outside:
        with pytest.raises(ValueError, match="pass@k needs"):
            subject.pass_at_k(*counts)
        compared(1, what="refusals")


def every_small_count(k: Draws) -> None:
    """Check the estimate against the binomials for all n up to the bound."""
    n = k.int("n", 1, k.bound)
    c = k.int("c", 0, n)
    looks = k.int("k", 1, n)
    exact = subject.pass_at_k_exact(n, c, looks)
    estimate = subject.pass_at_k(n, c, looks)
    assert 0 <= exact <= 1
    assert abs(estimate - exact) <= _ROUNDING
    if c < n:
        assert exact <= subject.pass_at_k_exact(n, c + 1, looks)
    if n - c < looks:
        k.cover("certain success")
        assert estimate == 1
