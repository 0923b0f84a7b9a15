"""SwiGLU's elementwise part: silu(gate) · up, for gate = x·W + b and up = x·V + c."""

from __future__ import annotations

from typing import Any

from inference.kernels.nested import map_elements, plain
from inference.kernels.silu.reference import silu_scalar
from pytest_contracts.binding import contract


@contract("swiglu-kernel-v1", equation="swiglu", implementation="reference")
def swiglu(gate: Any, up: Any) -> Any:
    """Multiply ``up`` by the SiLU of ``gate``, element by element.

    Shapes:
        gate, up: [...], equally nested
        returns: a float or nested lists of floats of the same shape
    Source: Shazeer 2020, GLU Variants Improve Transformer.
    """
    return map_elements(lambda g, u: silu_scalar(g) * u, plain(gate), plain(up))
