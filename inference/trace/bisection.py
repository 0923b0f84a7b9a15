"""Which stage went wrong first: two recordings of one run, walked in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.model.stages import Stage
from inference.trace.diff import agreement
from inference.trace.parity import first_divergence

Values = Mapping[tuple[Stage, int | None], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The last agreeing and the first disagreeing stage, in the order of computation."""

    before: tuple[Stage, int | None] | None
    after: tuple[Stage, int | None]
    agreement_before: float
    agreement_after: float


def bisect(subject: Values, oracle: Values, *, threshold: float = 0.999) -> Divergence | None:
    """Return where ``subject`` first leaves ``oracle``, or None if it never does.

    Only stages recorded on both sides are compared, by `agreement`: a cosine alone is blind to a
    wrong scale. A shape that differs is no agreement at all. ``subject`` must be in the order of
    computation, as a trace records it.
    """
    shared = [key for key in subject if key in oracle]
    agreements = [
        agreement(subject[key], oracle[key]) if subject[key].shape == oracle[key].shape else 0.0
        for key in shared
    ]
    index = first_divergence(agreements, threshold)
    if index is None:
        return None
    if index == 0:
        return Divergence(None, shared[0], 1.0, agreements[0])
    return Divergence(shared[index - 1], shared[index], agreements[index - 1], agreements[index])
