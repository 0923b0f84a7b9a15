"""What formulas compute with: exact Python integers, floats, NumPy arrays; and the size limits.

Floating values are held in one working precision, float64 unless asked otherwise. A value that is
no number (text, bytes, None) is *opaque*: it can be passed on and compared for equality only.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.limits import MAX_INTEGER_BITS

MAX_ELEMENTS = 1 << 24
MAX_MULTIPLICATIONS = 1 << 31

Array: TypeAlias = NDArray[Any]
Numeric: TypeAlias = "bool | int | float | np.floating[Any] | Array"


class Undefined(Exception):
    """A comparison has no truth value (NaN, a missing element); the claim does not hold."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def ensure_size(*shape: int) -> None:
    """Refuse an array of more than ``MAX_ELEMENTS`` elements before it is made."""
    total = 1
    for length in shape:
        if length < 0:
            raise FormulaError(f"negative length {length}")
        total *= length
        if total > MAX_ELEMENTS:
            raise FormulaError(f"an intermediate value exceeds {MAX_ELEMENTS} elements")


def host(value: Any) -> Any:
    """Return a device array as a NumPy array, everything else unchanged."""
    if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get"):
        return value.get()
    return value


def is_numeric(value: Any) -> bool:
    """Tell whether arithmetic is defined on the value."""
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        return not isinstance(value, complex | np.complexfloating)
    if isinstance(value, list | tuple):
        try:
            value = np.asarray(value)
        except ValueError:
            return False
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def number(value: Any, precision: DTypeLike = np.float64) -> Any:
    """Return the value as an operand: ``int``, ``float`` or an array of int64 or ``precision``.

    Raises:
        FormulaError: the value is no number.
    """
    value = host(value)
    if isinstance(value, bool | np.bool_ | np.integer):
        value = int(value)
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise FormulaError(f"an integer has more than {MAX_INTEGER_BITS} bits")
        return value
    if isinstance(value, np.floating):
        return settle(value, precision)
    if isinstance(value, float):
        # NumPy computes two Python floats in float64, however precise the others are.
        return np.longdouble(value) if precision is np.longdouble else value
    if isinstance(value, list | tuple):
        try:
            value = np.asarray(value)
        except ValueError:
            raise FormulaError("the items of an array differ in shape") from None
        if value.size == 0:
            value = value.astype(np.int64)
    if not isinstance(value, np.ndarray):
        raise FormulaError(f"{type(value).__name__} value is not a number")
    if value.dtype.kind in "bi" or (value.dtype.kind == "u" and value.dtype.itemsize < 8):
        value = value.astype(np.int64, copy=False)
    elif value.dtype.kind == "u":
        if value.size and int(value.max()) >= 1 << 63:
            raise FormulaError("an unsigned integer is beyond 63 bits")
        value = value.astype(np.int64)
    elif value.dtype.kind == "f":
        value = value.astype(precision, copy=False)
    else:
        raise FormulaError(f"an array of {value.dtype} is not an array of numbers")
    return value[()] if value.ndim else number(value.item(), precision)


def as_array(value: Any, precision: DTypeLike = np.float64) -> Array:
    """Return the value as an array of int64 or ``precision``; a longer integer as floating."""
    value = number(value, precision)
    if isinstance(value, int) and value.bit_length() > 63:
        value = float(value)
    if isinstance(value, float | np.floating):
        return np.asarray(value, dtype=precision)
    return np.asarray(value)


def settle(result: Any, precision: DTypeLike = np.float64) -> Any:
    """Return what a NumPy function gave in the working precision, scalars as Python numbers."""
    if isinstance(result, np.ndarray):
        if result.dtype.kind == "f" and result.dtype != precision:
            result = result.astype(precision)
        return result if result.ndim else settle(result[()], precision)
    if isinstance(result, np.bool_):
        return bool(result)
    if isinstance(result, np.integer):
        return int(result)
    if isinstance(result, np.floating):
        return float(result) if precision is np.float64 else np.asarray(result, precision)[()]
    return result


def integer(value: Any, what: str) -> int:
    """Return the value as an exact integer.

    Raises:
        FormulaError: it is none.
    """
    value = number(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise FormulaError(f"{what} must be an integer, not {brief(value)}")
    return value


def integers(value: Any, what: str) -> Array:
    """Return the value as an int64 array.

    Raises:
        FormulaError: an element is no integer, or does not fit.
    """
    value = number(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "i":
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return np.asarray(value, dtype=np.int64)
    array = np.asarray(value)
    if array.dtype.kind == "f" and np.array_equal(array, np.trunc(array)):
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int64)
        if np.array_equal(whole, array):
            return whole
    raise FormulaError(f"{what} needs integers, not {brief(value)}")


def contains_nan(value: Any) -> bool:
    """Tell whether a number or an array holds a NaN."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and bool(np.isnan(value).any())


def brief(value: Any, limit: int = 6) -> str:
    """Return a short text for a value: scalars in full, arrays by their first elements."""
    value = host(value)
    if isinstance(value, list | tuple) and is_numeric(value):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return brief(value[()])
        shown = ", ".join(brief(item) for item in value.ravel()[:limit])
        if value.ndim == 1 and value.size <= limit:
            return f"[{shown}]"
        rest = ", …" if value.size > limit else ""
        return f"[{shown}{rest}] (shape {'×'.join(map(str, value.shape))})"
    if isinstance(value, np.bool_ | bool):
        return "true" if value else "false"
    if isinstance(value, np.floating | np.integer):
        # The shortest text of its own precision: 0.1 for a float32 0.1, not 0.10000000149011612.
        return str(value)
    if callable(value):
        return getattr(value, "__name__", "a function")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
