"""Summary statistics of an activation."""

from __future__ import annotations

import math
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

    def joined(self, other: ActivationStats) -> ActivationStats:
        """Return the figures of both slices as one (Chan, Golub and LeVeque 1979)."""
        a, b = self._finite, other._finite
        if a == 0 or b == 0:
            finite = self if b == 0 else other
            low, high, mean, deviation = finite.min, finite.max, finite.mean, finite.std_dev
        else:
            low, high = min(self.min, other.min), max(self.max, other.max)
            shift = other.mean - self.mean
            mean = self.mean + shift * b / (a + b)
            squares = self.std_dev**2 * (a - 1) + other.std_dev**2 * (b - 1)
            deviation = math.sqrt((squares + shift**2 * a * b / (a + b)) / (a + b - 1))
        return ActivationStats(
            min=low,
            max=high,
            mean=mean,
            std_dev=deviation,
            nan_count=self.nan_count + other.nan_count,
            inf_count=self.inf_count + other.inf_count,
            zero_count=self.zero_count + other.zero_count,
            count=self.count + other.count,
        )

    @property
    def _finite(self) -> int:
        return self.count - self.nan_count - self.inf_count
