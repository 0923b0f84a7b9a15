"""Arguments of kernels, checked at the door so that the implementations may assume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_HOST = np.ndarray, np.float32
_FLOAT32 = np.dtype(np.float32)


def float32_array(
    kernel: str, name: str, value: Any, *, ndim: int | None = None, min_ndim: int = 0
) -> Float32:
    """Return ``value`` itself when it is a float32 array of the wanted rank, on any device.

    Raises:
        TypeError: not a NumPy array, or not float32; nothing is cast behind the caller's back.
        ValueError: the rank is wrong.
    """
    on_host = isinstance(value, _HOST)
    if not on_host and not hasattr(value, "__cuda_array_interface__"):
        raise TypeError(f"{kernel}: {name} is a {type(value).__name__}, not a NumPy array")
    if value.dtype != _FLOAT32:
        raise TypeError(
            f"{kernel}: {name} is {value.dtype}, but the kernel computes in float32;"
            f" pass {name}.astype(np.float32)"
        )
    array: Float32 = np.asarray(value) if on_host else value
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{kernel}: {name} has shape {array.shape}, but {ndim} axes are needed")
    if array.ndim < min_ndim:
        raise ValueError(
            f"{kernel}: {name} has shape {array.shape}, but at least {min_ndim} axes are needed"
        )
    return array


def same_shape(kernel: str, **operands: Any) -> list[Float32]:
    """Return the operands of an elementwise kernel, in their order.

    Args:
        kernel: who asks, for the messages.
        operands: name -> [...] float32, all of the same shape.
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
    return list(arrays.values())


def elementwise(loop: Callable[..., None], *operands: Float32) -> Float32:
    """Apply a compiled loop to operands of one shape, element by element.

    ``loop`` takes the operands flat and contiguous, and the flat output last.
    """
    out = np.empty(operands[0].shape, np.float32)
    loop(*(np.ascontiguousarray(array).reshape(-1) for array in operands), out.reshape(-1))
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
