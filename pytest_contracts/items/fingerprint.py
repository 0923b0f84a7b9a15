"""The state of a value at one moment, to tell later whether a bit of it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_contracts.errors import ContractBindingError
from pytest_contracts.formula.values import host
from pytest_contracts.where import Where

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), np.generic)
"""What holds no state that a call could change."""


@dataclass(frozen=True)
class Snapshot:
    """A value's fingerprint, and a copy of its numbers where it is an array."""

    digest: bytes
    size: int
    mutable: bool
    array: np.ndarray[Any, Any] | None
    brief: str
    """What was shown of the value; an array is shown when somebody asks, since that takes long."""
    nothing: bool = False

    @classmethod
    def of(cls, value: Any, *, where: Where | None = None) -> Snapshot:
        """Take the snapshot.

        Raises:
            ContractBindingError: the value holds something that cannot be hashed.
        """
        digest = hashlib.sha256()
        try:
            for part in _parts(value, set()):
                digest.update(len(part).to_bytes(8, "little") + part)
        except TypeError as error:
            raise ContractBindingError(str(error), where=where) from None
        array = None
        if isinstance(value, np.ndarray) and value.dtype != object:
            array = np.array(value, order="C")
        size = array.size if array is not None else 1
        mutable = not isinstance(value, IMMUTABLE)
        brief = "" if array is not None else _brief(value)
        return cls(digest.digest(), size, mutable, array, brief, is_nothing(value))

    @property
    def text(self) -> str:
        """The value in few words."""
        return self.brief if self.array is None else _brief(self.array)

    def difference(self, other: Snapshot) -> dict[str, Any] | None:
        """Return both sides of the first difference, in Falsified's words; None where equal."""
        if self.digest == other.digest:
            return None
        a, b = self.array, other.array
        if a is None or b is None:
            return {"left": self.text, "right": other.text}
        if a.shape != b.shape or a.dtype != b.dtype:
            return {"left": f"{a.dtype} {a.shape}", "right": f"{b.dtype} {b.shape}"}
        apart = a.reshape(-1).view(np.uint8) != b.reshape(-1).view(np.uint8)
        index = int(np.argmax(apart)) // a.dtype.itemsize
        return {
            "left": a.ravel()[index].item(),
            "right": b.ravel()[index].item(),
            "index": tuple(int(i) for i in np.unravel_index(index, a.shape)),
        }


def is_nothing(value: Any) -> bool:
    """Tell whether a value is None, or holds nothing else."""
    if isinstance(value, tuple | list):
        return bool(value) and all(is_nothing(part) for part in value)
    if isinstance(value, Mapping):
        return bool(value) and all(is_nothing(part) for part in value.values())
    return value is None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _parts(value: Any, above: set[int]) -> Iterable[bytes]:
    """Yield the bytes that make up a value, each kind of thing marked as such."""
    value = host(value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        yield b"array"
        yield f"{value.dtype.str} {value.shape}".encode()
        yield value.tobytes()
        return
    if isinstance(value, IMMUTABLE):
        yield kind
        yield value if isinstance(value, bytes) else repr(value).encode()
        return
    if isinstance(value, bytearray | memoryview):
        yield kind
        yield bytes(value)
        return
    if id(value) in above:
        yield b"cycle"
        return
    yield kind
    for child in _children(value):
        yield from _parts(child, above | {id(value)})


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return (part for item in value.items() for part in item)
    if isinstance(value, Set):
        return sorted(value, key=lambda item: Snapshot.of(item).digest)
    if isinstance(value, np.ndarray):
        return (value.shape, *value.ravel().tolist())
    if isinstance(value, Sequence):
        return value
    if hasattr(value, "__qualname__"):
        return (value.__module__, value.__qualname__)
    held = object.__getstate__(value)
    if held is None and not hasattr(value, "__dict__"):
        raise TypeError(f"the state of a {type(value).__qualname__} cannot be hashed")
    return (held,)
