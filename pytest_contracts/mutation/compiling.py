"""Importing this has Numba compile a function: what it sets up for the first costs a second.

A module to ``preload`` for a package that is compiled; nothing of any project is imported here.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, error_model="numpy")
def _first(x, n):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = np.float32(0)
    for i in range(n):
        total += np.exp(x[i]) * abs(x[i])
    return total


_first(np.ones(3, np.float32), 3)
