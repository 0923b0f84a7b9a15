"""SiLU: x · sigmoid(x) = x / (1 + exp(−x))."""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.nested import map_elements, plain
from pytest_contracts.binding import contract


@contract("silu-kernel-v1", equation="silu", implementation="reference")
def silu(x: Any) -> Any:
    """Multiply every element by its own sigmoid.

    Shapes:
        x: [...], a number or nested sequences
        returns: a float or nested lists of floats of the same shape
    Source: Elfwing et al. 2018; Ramachandran et al. 2017.
    """
    return map_elements(silu_scalar, plain(x))


def silu_scalar(x: float) -> float:
    """Return x · sigmoid(x)."""
    return x * sigmoid(x)


@contract("silu-kernel-v1", equation="sigmoid", implementation="reference")
def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(−x)) by the form whose exponential is at most 1."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    decay = math.exp(x)
    return decay / (1.0 + decay)
