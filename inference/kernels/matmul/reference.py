"""Matrix product: C_ij = Σ_k A_ik · B_kj."""

from __future__ import annotations

from typing import Any

from inference.kernels.nested import plain
from pytest_contracts.binding import contract


@contract("matmul-kernel-v1", equation="matmul", implementation="reference")
def matmul(a: Any, b: Any) -> list[list[float]]:
    """Multiply two matrices.

    Shapes:
        a: [m, k]; b: [k, n]
        returns: [m, n] nested lists of floats
    """
    a, b = plain(a), plain(b)
    columns = list(zip(*b, strict=True))
    return [[dot(row, column) for column in columns] for row in a]


def dot(a: Any, b: Any) -> float:
    """Return Σ_k a_k · b_k, added in order."""
    total = 0.0
    for a_k, b_k in zip(a, b, strict=True):
        total += a_k * b_k
    return total
