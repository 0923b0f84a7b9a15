"""pass@k: the chance that at least one of k samples solves a problem.

Chen et al. 2021, "Evaluating large language models trained on code", equation 1: with c of n
samples correct, the unbiased estimate is 1 − C(n−c, k) / C(n, k).
"""

from __future__ import annotations

import math
from fractions import Fraction


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the estimate in floating point, as a product: no factorial is ever formed.

    ``ValueError`` unless 1 ≤ k ≤ n and 0 ≤ c ≤ n: from n samples nothing can be said about more.
    """
    _check(n, c, k)
    # C(n−c, k) / C(n, k) is the same with c and k exchanged; the shorter product rounds less.
    # Where n − c < k, one factor is exactly zero.
    few, many = min(c, k), max(c, k)
    return 1.0 - math.prod(1.0 - many / (n - i) for i in range(few))


def pass_at_k_exact(n: int, c: int, k: int) -> Fraction:
    """Return the estimate as a fraction, from the binomials themselves.

    ``ValueError`` as for `pass_at_k`.
    """
    _check(n, c, k)
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


def _check(n: int, c: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n, got k={k} of n={n} samples")
    if not 0 <= c <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n, got c={c} correct of n={n} samples")
