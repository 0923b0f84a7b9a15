"""Harnesses that are false in CPython, each with a value on which it fails: none may be CONFIRMED.

Some were confirmed by one or another version of the path engine, which takes floats for reals,
compares integers with floats after rounding, and lets NumPy compute in Python's integers.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Harness = Callable[[Any], None]
ODD = 2**53 + 1
"""The least natural number that is no binary64."""


class Case(NamedTuple):
    """A false harness, values on which it fails, and whether no value can be expected to be hit."""

    harness: Harness
    witness: Mapping[str, Any]
    needle: bool


CASES: dict[str, Case] = {}


def false(name: str, witness: Mapping[str, Any], *, needle: bool = False) -> Any:
    """Register a harness under what it is about."""

    def register(harness: Harness) -> Harness:
        CASES[name] = Case(harness, witness, needle)
        return harness

    return register


def of_integer(name: str, holds: Callable[[int], object], witness: int, **more: Any) -> None:
    """Register a claim about one integer from 0 to 2^60."""

    def harness(k: Any) -> None:
        assert holds(k.int("n", 0, 2**60))

    false(name, {"n": witness}, **more)(harness)


of_integer("`float(n) == n`", lambda n: float(n) == n, ODD)
of_integer("`n + 0.0 == n`", lambda n: n + 0.0 == n, ODD)
of_integer("`n - 0.0 == n`", lambda n: n - 0.0 == n, ODD)
of_integer("`n * 1.0 == n`", lambda n: n * 1.0 == n, ODD)
of_integer("`n / 1 == n`", lambda n: n / 1 == n, ODD)
of_integer("`n // 1.0 == n`", lambda n: n // 1.0 == n, ODD)
of_integer("`n ** 1.0 == n`", lambda n: n**1.0 == n, ODD)
of_integer("`int(float(n)) == n`", lambda n: int(float(n)) == n, ODD)
of_integer("`round(n / 1) == n`", lambda n: round(n / 1) == n, ODD)
of_integer("`ceil(n / 1) >= n`", lambda n: math.ceil(n / 1) >= n, ODD)
of_integer("`sum([n], 0.0) == n`", lambda n: sum([n], 0.0) == n, ODD)
of_integer("`max(float(n), 0.0) == n`", lambda n: max(float(n), 0.0) == n, ODD)
of_integer("`n in {float(n): 1}`", lambda n: n in {float(n): 1}, ODD)
of_integer("`float(n + 1) > float(n)`", lambda n: float(n + 1) > float(n), ODD - 1)
of_integer("`float(n) != 2^53` above it", lambda n: n == ODD - 1 or float(n) != ODD - 1, ODD)
of_integer("`int(n / 100 * 100) == n`", lambda n: int(n / 100 * 100) == n, 29)
of_integer("`struct` of a double", lambda n: struct.unpack("d", struct.pack("d", n))[0] == n, ODD)
of_integer("`f'{n:.0f}' == str(n)`", lambda n: f"{n:.0f}" == str(n), ODD)
of_integer("JSON of a float", lambda n: json.loads(json.dumps(float(n))) == n, ODD)
of_integer("`hypot(n) == n`", lambda n: math.hypot(n) == n, ODD)
of_integer("`sqrt` of a square", lambda n: math.isqrt(n * n) == int(math.sqrt(n * n)), ODD)
of_integer("NaN: `x == x` of `n * inf`", lambda n: n * math.inf == n * math.inf, 0)
of_integer("`inf - inf == 0`", lambda n: n * math.inf - n * math.inf == 0, 1)
of_integer("the sign of −0.0", lambda n: math.copysign(1, -n * 1.0) == -1, 0)
of_integer("`np.float32(n) == n`", lambda n: int(np.float32(n)) == n, 2**24 + 1)
of_integer("`np.float64(n) == n`", lambda n: int(np.float64(n)) == n, ODD)
of_integer("`np.int64` to `np.int32`", lambda n: int(np.int64(n).astype(np.int32)) == n, 2**31)
of_integer("`np.multiply` wraps", lambda n: int(np.multiply(n, 8)) == 8 * n, 2**60)
of_integer("`np.dot` wraps", lambda n: int(np.dot(np.array([n, n]), [8, 8])) == 16 * n, 2**60)
of_integer("`np.sqrt` of one value", lambda n: np.sqrt(n) != 111, 12321, needle=True)
of_integer("`np.float64(n) + n`", lambda n: np.float64(n) + n != 2 * 13871, 13871, needle=True)
of_integer("`np.array([n])` as floats", lambda n: np.array([n]).astype(float)[0] != 13871, 13871,
           needle=True)  # fmt: skip
of_integer("`bool.bit_length`", lambda n: not hasattr(n > 5, "bit_length"), 6)
of_integer("`n | 1 == n + 1`", lambda n: n | 1 == n + 1, 1)
of_integer("`n & 0xFF00`", lambda n: n & 0xFF00 == n, 1)
of_integer("`-n >> 1 == int(-n / 2)`", lambda n: -n >> 1 == int(-n / 2), 1)
of_integer("one text of all", lambda n: str(n) != "77", 77)
of_integer("one value of all", lambda n: n != 123456789, 123456789)


@false("`len(range(n)) == n`", {"n": 2**63})
def range_is_as_long(k: Any) -> None:
    n = k.int("n", 0, 2**64)
    assert len(range(n)) == n


@false("`float(n)` is finite", {"n": 2**1024})
def every_integer_becomes_a_float(k: Any) -> None:
    assert float(k.int("n", 0)) >= 0


@false("`(a + b) + c == a + (b + c)`", {"a": 1, "b": 2, "c": 3})
def sums_are_associative(k: Any) -> None:
    a, b, c = (k.int(name, 0, 2**20) / 10 for name in "abc")
    assert (a + b) + c == a + (b + c)


@false("`b[0] | b[1] == b[0] + b[1]`", {"b": b"\x01\x01"})
def or_of_bytes_is_their_sum(k: Any) -> None:
    b = k.bytes("b", 2)
    assert b[0] | b[1] == b[0] + b[1]


@false("NaN: `x == x` of eight bytes", {"b": b"\xff" * 8})
def bytes_equal_themselves_as_a_float(k: Any) -> None:
    (x,) = struct.unpack("<d", k.bytes("b", 8))
    assert x == x
