"""What this project adds to the contract language: strategies, and the backends' registration."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import backends  # noqa: F401  its decorators register implementations
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.extra import numpy as arrays

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


def diagonally_dominant(low: int = 1, high: int = 6) -> st.SearchStrategy[Any]:
    """Draw square matrices whose diagonal outweighs the rest of each row: never singular."""

    def matrix(size: int) -> st.SearchStrategy[Any]:
        entries = st.floats(-1, 1).map(lambda value: round(value, 3))
        return arrays.arrays(np.float64, (size, size), elements=entries).map(
            lambda drawn: drawn + 2 * size * np.eye(size)
        )

    return st.integers(low, high).flatmap(matrix)


def pytest_contracts_strategies(
    config: pytest.Config,
) -> Mapping[str, Callable[..., st.SearchStrategy[Any]]]:
    """Give ``{strategy: diagonally_dominant}`` its meaning."""
    return {"diagonally_dominant": diagonally_dominant}
