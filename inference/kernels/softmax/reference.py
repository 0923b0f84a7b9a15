"""Softmax, one step per line: σ(x)_i = exp(x_i − max x) / Σ_j exp(x_j − max x)."""

from __future__ import annotations

import math
from typing import Any

from inference.kernels.nested import map_rows, plain
from pytest_contracts.binding import contract


@contract("softmax-kernel-v1", equation="softmax", implementation="reference")
def softmax(x: Any) -> Any:
    """Normalize the exponentials of each innermost row of a nested sequence.

    Shapes:
        x: [..., n], n ≥ 1
        returns: nested lists of floats of the same shape
    Source: Bridle 1990; the subtracted maximum as in Milakov & Gimelshein 2018.
    """
    return map_rows(softmax_row, plain(x))


def softmax_row(x: Any) -> list[float]:
    """Normalize the exponentials of one row; the largest term is exp(0) = 1, so none overflows."""
    largest = x[0]
    for x_i in x[1:]:
        if x_i > largest:
            largest = x_i
    exponentials = [math.exp(x_i - largest) for x_i in x]
    total = 0.0
    for e_i in exponentials:
        total += e_i
    return [e_i / total for e_i in exponentials]
