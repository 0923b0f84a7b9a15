"""Leading axes for the scalar references: nested sequences walked down to rows or elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def plain(x: Any) -> Any:
    """Turn anything with ``tolist`` (an array or its scalar) into Python numbers; keep the rest."""
    return x.tolist() if hasattr(x, "tolist") else x


def map_elements(function: Callable[..., Any], x: Any, *others: Any) -> Any:
    """Apply a scalar function to every element of equally nested sequences."""
    if not hasattr(x, "__len__"):
        return function(x, *others)
    for other in others:
        if len(other) != len(x):
            raise ValueError(f"sequences of {len(x)} and {len(other)} elements do not pair up")
    return [map_elements(function, *parts) for parts in zip(x, *others, strict=True)]


def map_rows(function: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function of one row to every innermost row of a nested sequence."""
    if len(x) > 0 and hasattr(x[0], "__len__"):
        return [map_rows(function, part) for part in x]
    return function(x)
