"""GeGLU's elementwise part: gelu(gate) · up, for gate = x·W + b and up = x·V + c.

GELU in its tanh form, x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), as checkpoints are trained.
"""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.nested import map_elements, plain
from inference.kernels.silu.reference import sigmoid
from pytest_contracts.binding import contract


@contract("geglu-kernel-v1", equation="geglu", implementation="reference")
def geglu(gate: Any, up: Any) -> Any:
    """Multiply ``up`` by the GELU of ``gate``, element by element.

    Shapes:
        gate, up: [...], equally nested
        returns: a float or nested lists of floats of the same shape
    Source: Shazeer 2020, GLU Variants Improve Transformer.
    """
    return map_elements(lambda g, u: gelu_scalar(g) * u, plain(gate), plain(up))


@contract("geglu-kernel-v1", equation="gelu", implementation="reference")
def gelu(x: Any) -> Any:
    """Return GELU of every element.

    Shapes:
        x: [...], a number or nested sequences
        returns: a float or nested lists of floats of the same shape
    Source: Hendrycks & Gimpel 2016, the tanh approximation.
    """
    return map_elements(gelu_scalar, plain(x))


def gelu_scalar(x: float) -> float:
    """Return x · sigmoid(2u), which is x/2 · (1 + tanh(u)) without its cancellation below zero."""
    u = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
    return x * sigmoid(2.0 * u)
