"""A snapshot notices every change, and nothing but changes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pytest_contracts.items.fingerprint import Snapshot


@dataclass
class Held:
    """An object with contents."""

    items: list[Any] = field(default_factory=list)


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: np.zeros(3, np.float32), lambda v: v.__setitem__(1, -0.0)),
        (lambda: np.array([[1], None], dtype=object), lambda v: v[0].append(2)),
        (lambda: [1, [2.0]], lambda v: v[1].__setitem__(0, -0.0)),
        (lambda: {"a": {1, 2}}, lambda v: v["a"].add(3)),
        (lambda: deque([1]), lambda v: v.append(2)),
        (lambda: bytearray(b"ab"), lambda v: v.__setitem__(0, 0)),
        (lambda: Held([1]), lambda v: v.items.append(2)),
        (lambda: Slotted([1]), lambda v: v.value.append(2)),
        (lambda: [math.sin], lambda v: v.__setitem__(0, math.cos)),
    ],
)
def test_a_change_shows(make, change):
    value = make()
    before = Snapshot.of(value)
    assert before.difference(Snapshot.of(value)) is None
    assert before.difference(Snapshot.of(make())) is None
    change(value)
    assert before.difference(Snapshot.of(value)) is not None


def test_what_looks_alike_is_told_apart():
    values = [1, 1.0, True, "1", b"1", [1], (1,), np.float32(1), np.array([1.0]), None, Held([1])]
    assert len({Snapshot.of(value).digest for value in values}) == len(values)


def test_where_arrays_differ():
    before = Snapshot.of(np.array([[1, 2], [3, 4]]))
    assert before.difference(Snapshot.of(np.array([[1, 2], [5, 4]]))) == {
        "left": 3,
        "right": 5,
        "index": (1, 0),
    }
    assert before.difference(Snapshot.of(np.array([1, 2]))) == {
        "left": "int64 (2, 2)",
        "right": "int64 (2,)",
    }


def test_cycles_end():
    value: list[Any] = [1]
    value.append(value)
    before = Snapshot.of(value)
    value[0] = 2
    assert before.difference(Snapshot.of(value)) is not None
