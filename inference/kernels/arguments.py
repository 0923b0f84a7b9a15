"""Arguments of the CPU kernels, checked at the door so that the compiled loops may assume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def float32_array(
    kernel: str, name: str, value: Any, *, ndim: int | None = None, min_ndim: int = 0
) -> Float32:
    """Return ``value`` itself when it is a float32 array of the wanted rank.

    Raises:
        TypeError: not a NumPy array, or not float32; nothing is cast behind the caller's back.
        ValueError: the rank is wrong.
    """
    if not isinstance(value, np.ndarray | np.float32):
        raise TypeError(f"{kernel}: {name} is a {type(value).__name__}, not a NumPy array")
    if value.dtype != np.float32:
        raise TypeError(
            f"{kernel}: {name} is {value.dtype}, but the CPU kernel computes in float32;"
            f" pass {name}.astype(np.float32)"
        )
    array = np.asarray(value)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{kernel}: {name} has shape {array.shape}, but {ndim} axes are needed")
    if array.ndim < min_ndim:
        raise ValueError(
            f"{kernel}: {name} has shape {array.shape}, but at least {min_ndim} axes are needed"
        )
    return array


def elementwise(kernel: str, loop: Callable[..., None], **operands: Any) -> Float32:
    """Apply a compiled loop to operands of one shape, element by element.

    Args:
        kernel: who asks, for the messages.
        loop: takes the operands flat and contiguous, in the order given, and the flat output last.
        operands: name -> [...] float32, all of the same shape.

    Shapes:
        returns: [...] float32
    Raises:
        TypeError: an operand is not a float32 array.
        ValueError: the shapes differ.
    """
    arrays = {name: float32_array(kernel, name, value) for name, value in operands.items()}
    (first, lead), *others = arrays.items()
    for name, array in others:
        if array.shape != lead.shape:
            raise ValueError(
                f"{kernel}: {first} has shape {lead.shape}, but {name} has {array.shape}"
            )
    out = np.empty(lead.shape, np.float32)
    loop(*(np.ascontiguousarray(array).reshape(-1) for array in arrays.values()), out.reshape(-1))
    return out


def same_size(kernel: str, left: str, left_size: int, right: str, right_size: int) -> None:
    """Raise ValueError unless two sizes that must agree do; ``left`` and ``right`` name them."""
    if left_size != right_size:
        raise ValueError(f"{kernel}: {left} is {left_size}, but {right} is {right_size}")


def rows(array: Float32) -> Float32:
    """View an array as C-contiguous rows of its last axis: [..., n] -> [rows, n].

    Only an array that is not contiguous is copied.
    """
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])
