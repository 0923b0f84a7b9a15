"""Values written in a contract, checked against a domain: what ``regressions:`` may hold.

Each function returns the value as a strategy of the domain would have drawn it, or refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_contracts.domains.arrays import ArraySpec
from pytest_contracts.errors import ContractSyntaxError


def thawed(value: Any) -> Any:
    """Return a value of a contract as lists, dicts and scalars."""
    if isinstance(value, Mapping):
        return {key: thawed(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [thawed(inner) for inner in value]
    return value


def member(value: Any, items: Sequence[Any]) -> Any:
    """Return one of the values of an enumeration."""
    for item in items:
        if isinstance(item, bool) == isinstance(value, bool) and item == value:
            return item
    raise _refusal(value, f"is none of {', '.join(map(str, items))}")


def between(value: Any, low: Any, high: Any) -> Any:
    """Return a number between two bounds; between whole ones it is whole."""
    whole = isinstance(low, int) and isinstance(high, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise _refusal(value, f"is no {'integer' if whole else 'number'}")
    if not low <= value <= high:
        raise _refusal(value, f"lies outside of {low}..{high}")
    return value if whole else float(value)


def scalar(value: Any, spec: ArraySpec) -> Any:
    """Return a number that a dtype holds, within the range or among the specials."""
    if spec.dtype.kind == "b":
        if not isinstance(value, bool):
            raise _refusal(value, "is no boolean")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refusal(value, "is no number")
    if not spec.is_float:
        if not math.isfinite(value) or value != int(value):
            raise _refusal(value, "is no integer")
        found: Any = int(value)
    else:
        with np.errstate(over="ignore"):
            found = spec.dtype.type(value).item()
        if math.isinf(found) and not math.isinf(value):
            raise _refusal(value, f"is beyond the range of {spec.dtype}")
    if spec.is_float and any(_same(found, special) for special in spec.special_values):
        return found
    if not spec.low <= found <= spec.high:
        raise _refusal(value, f"lies outside of [{spec.low}, {spec.high}]")
    if found in spec.exclude:
        raise _refusal(value, "is excluded")
    return found


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def array(value: Any, shape: tuple[int, ...], spec: ArraySpec) -> NDArray[Any]:
    """Return an array of a shape, every element checked."""
    flat = _flat(value, shape)
    elements = [scalar(element, spec) for element in flat]
    made = np.array(elements, spec.dtype).reshape(shape)
    if spec.unique and np.unique(made).size < made.size:
        raise _refusal(value, "repeats an element")
    return made


def _flat(value: Any, shape: tuple[int, ...]) -> list[Any]:
    if not shape:
        return [value]
    if not isinstance(value, tuple | list) or len(value) != shape[0]:
        raise _refusal(value, f"is no array of shape {list(shape)}")
    return [element for part in value for element in _flat(part, shape[1:])]


def tokens(value: Any, vocabulary: int | None, least: int, most: int) -> list[int]:
    """Return token ids below a vocabulary size, where that is known."""
    if not isinstance(value, tuple | list):
        raise _refusal(value, "is no list of token ids")
    _length(value, least, most)
    top = float("inf") if vocabulary is None else vocabulary - 1
    for token in value:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token <= top:
            raise _refusal(token, f"is no token id below {vocabulary or 'the vocabulary size'}")
    return list(value)


def text(value: Any, alphabet: Sequence[str] | None, least: int, most: int) -> str:
    """Return a text, over an alphabet where there is one."""
    if not isinstance(value, str):
        raise _refusal(value, "is no text")
    _length(value, least, most)
    for character in value if alphabet is not None else ():
        if character not in (alphabet or ()):
            raise _refusal(character, "is not in the alphabet")
    return value


def _length(value: Any, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        raise _refusal(value, f"has the length {len(value)}, not {least}..{most}")


def _refusal(value: Any, why: str) -> ContractSyntaxError:
    shown = repr(thawed(value))
    return ContractSyntaxError(f"{shown if len(shown) <= 60 else shown[:57] + '…'} {why}")
