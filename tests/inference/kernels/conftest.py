from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike


@pytest.fixture(scope="session")
def ulp_error() -> Callable[[ArrayLike, ArrayLike], float]:
    """Largest distance of float32 values from exact ones, in units of float32's last place."""

    def largest(actual: ArrayLike, exact: ArrayLike) -> float:
        exact = np.asarray(exact, np.float64)
        actual = np.asarray(actual, np.float64)
        assert actual.shape == exact.shape
        assert actual.size > 0
        assert np.isfinite(actual).all()
        assert np.isfinite(exact).all()
        unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
        return float(np.max(np.abs(actual - exact) / unit))

    return largest
