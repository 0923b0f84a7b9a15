"""Summary statistics of an activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ActivationStats:
    """Eight figures of a float slice; NaN and infinities are counted, then left out.

    ``std_dev`` is the sample standard deviation (n − 1), 0 for fewer than two finite values;
    ``count`` is the full length, non-finite values included. An empty slice is all zeros.
    """

    min: float = 0.0
    max: float = 0.0
    mean: float = 0.0
    std_dev: float = 0.0
    nan_count: int = 0
    inf_count: int = 0
    zero_count: int = 0
    count: int = 0

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> ActivationStats:
        """Summarise ``values`` of any shape; mean and variance are taken in float64."""
        flat = values.reshape(-1)
        finite = flat[np.isfinite(flat)].astype(np.float64)
        nan_count = int(np.count_nonzero(np.isnan(flat)))
        inf_count = flat.size - finite.size - nan_count
        if finite.size == 0:
            return cls(nan_count=nan_count, inf_count=inf_count, count=flat.size)
        return cls(
            min=float(finite.min()),
            max=float(finite.max()),
            mean=float(finite.mean()),
            std_dev=float(finite.std(ddof=1)) if finite.size > 1 else 0.0,
            nan_count=nan_count,
            inf_count=inf_count,
            zero_count=int(np.count_nonzero(finite == 0)),
            count=flat.size,
        )
