"""The precision in which a claim is judged: that of the floats which it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pytest_contracts.contract.model import Variable

_FLOATS = {"float16": 16, "float32": 32, "float64": 64, "float": 64}
_TYPES: Mapping[int, type[np.floating[Any]]] = {16: np.float16, 32: np.float32, 64: np.float64}


def precision_of(variables: Iterable[Variable]) -> type[np.floating[Any]]:
    """Return the widest float among the arrays, else among the numbers of a stated dtype.

    Numbers do not decide beside arrays, as in NumPy: ``x / eps`` is of the precision of ``x``. A
    range of reals without a dtype is drawn as Python's floats. Without any float, and for the
    formats narrower than float16, it is float32.
    """
    arrays: list[int] = []
    numbers: list[int] = []
    plain: list[int] = []
    for variable in variables:
        spec = variable.spec
        if isinstance(spec, str) and "." in spec.replace("..", ""):
            plain.append(64)
        if not isinstance(spec, Mapping):
            continue
        name = str(spec.get("dtype", ""))
        if name.startswith(("float", "bfloat")):
            (arrays if "shape" in spec else numbers).append(_FLOATS.get(name, 32))
    return _TYPES[max(arrays or numbers or plain or [32])]
