"""RMSNorm, one step per line: y_i = x_i / RMS(x) · γ_i with RMS(x) = √(Σ x_i² / n + ε)."""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.nested import map_rows, plain
from pytest_contracts.binding import contract


@contract("rmsnorm-kernel-v1", equation="rmsnorm", implementation="reference")
def rmsnorm(x: Any, weight: Any, eps: float) -> Any:
    """Scale each innermost row of a nested sequence to unit root mean square, then by ``weight``.

    Shapes:
        x: [..., n]; weight: [n]
        returns: nested lists of floats of x's shape
    Source: Zhang & Sennrich 2019.
    """
    gamma = plain(weight)
    return map_rows(lambda row: rmsnorm_row(row, gamma, eps), plain(x))


def rmsnorm_row(x: Any, gamma: Any, eps: float) -> list[float]:
    """Normalize one row."""
    rms = root_mean_square(x, eps)
    return [x_i / rms * gamma_i for x_i, gamma_i in zip(x, gamma, strict=True)]


def root_mean_square(x: Any, eps: float) -> float:
    """Return √(Σ x_i² / n + ε), which is positive because ε is."""
    total = 0.0
    for x_i in x:
        total += x_i * x_i
    return math.sqrt(total / len(x) + eps)
