"""Scalars and arrays for contracts: cheap to draw at any size, and shrinking to plain numbers.

An array is a base (one constant, or numbers from a seeded generator in one of several
distributions) with up to four single elements replaced. A handful of choices describes it
whatever its size, so that Hypothesis spends its time on the claim, and a counterexample shrinks
to a constant array with a few telling elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import reject
from numpy.typing import NDArray

from pytest_contracts.errors import ContractSyntaxError

Draw = Callable[[st.SearchStrategy[Any]], Any]

MAX_ELEMENTS = 1 << 24
MAX_REPLACED = 4
DTYPES = frozenset(
    (
        *("bool", "float16", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
)
SPECIALS = ("inf", "nan", "subnormal", "max", "zero")
_OCTAVES = 40.0
# No seed is an element that a failing example is likely to shrink to: Hypothesis then sees that a
# constant array is described differently, and looks for one afresh instead of trying the seed.
_FIRST_SEED = 2**32
_SEEDS = st.integers(_FIRST_SEED, 2 * _FIRST_SEED - 1)
# The first seeds, to which Hypothesis shrinks, give numbers that are easy to read.
_ROUND_SEEDS = _FIRST_SEED + 16
# Hypothesis looks three times for a failing example under each simpler entry; there are several
# for a constant, and no more than the eleven among which it looks.
_FLOAT_BASES = st.sampled_from(
    [base for base in ("constant", "extremes", "uniform", "normal", "magnitudes") for _ in range(2)]
)
_INTEGER_BASES = st.sampled_from(
    [base for base in ("constant", "extremes", "uniform") for _ in range(3)]
)


@dataclass(frozen=True)
class ArraySpec:
    """What the elements are: dtype, inclusive bounds, values kept out or mixed in."""

    dtype: np.dtype[Any]
    low: float
    high: float
    exclude: tuple[float, ...] = ()
    specials: tuple[str, ...] = ()
    unique: bool = False

    @classmethod
    def of(
        cls,
        dtype: str,
        *,
        exclude: tuple[float, ...] = (),
        specials: tuple[str, ...] = (),
        unique: bool = False,
    ) -> ArraySpec:
        """Return the spec of all finite values of a dtype.

        Raises:
            ContractSyntaxError: the dtype or a special is unknown.
        """
        name = {"float": "float64", "int": "int64"}.get(dtype, dtype)
        # NumPy reads more than names, and some of what it reads it takes long over.
        if name not in DTYPES:
            raise ContractSyntaxError(
                f"unknown dtype {dtype!r}",
                hint="Known: float16, float32, float64, int8 to int64, uint8 to uint64, bool.",
            )
        kind: np.dtype[Any] = np.dtype(name)
        for special in specials:
            if special not in SPECIALS or kind.kind != "f":
                raise ContractSyntaxError(
                    f"{special!r} is not a special value of {dtype}",
                    hint=f"Floats know {', '.join(SPECIALS)}.",
                )
        if kind.kind == "f":
            low, high = float(np.finfo(kind).min), float(np.finfo(kind).max)
        elif kind.kind == "b":
            low, high = 0, 1
        else:
            low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        return cls(kind, low, high, exclude, specials, unique)

    def within(self, low: float, high: float) -> ArraySpec:
        """Return the spec with bounds, rounded inward to values of the dtype."""
        if math.isnan(low) or math.isnan(high) or low > high:
            raise ContractSyntaxError(f"the range [{low!r}, {high!r}] is empty")
        low, high = max(low, self.low), min(high, self.high)
        if low > high:
            raise ContractSyntaxError(f"no {self.dtype} lies in the range")
        if self.is_float:
            inward_low, inward_high = self.dtype.type(low), self.dtype.type(high)
            if float(inward_low) < low:
                inward_low = np.nextafter(inward_low, self.dtype.type(np.inf))
            if float(inward_high) > high:
                inward_high = np.nextafter(inward_high, self.dtype.type(-np.inf))
            low, high = float(inward_low), float(inward_high)
        else:
            low, high = math.ceil(low), math.floor(high)
        if low > high:
            raise ContractSyntaxError(f"no {self.dtype} lies in the range")
        return replace(self, low=low, high=high)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floats."""
        return self.dtype.kind == "f"

    @cached_property
    def element(self) -> st.SearchStrategy[Any]:
        """One element, specials included."""
        plain: st.SearchStrategy[Any]
        if self.dtype.kind == "b":
            plain = st.booleans()
        elif self.is_float:
            plain = st.floats(
                self.low,
                self.high,
                width=self.dtype.itemsize * 8,  # type: ignore[arg-type]
                allow_nan=False,
                allow_infinity=False,
            )
        else:
            plain = st.integers(int(self.low), int(self.high))
        if self.exclude:
            plain = plain.filter(lambda value: value not in self.exclude)
        if self.specials:
            plain = st.one_of(plain, st.sampled_from(self.special_values))
        return plain

    @cached_property
    def special_values(self) -> list[float]:
        """The special values, as Python floats."""
        info = np.finfo(self.dtype)
        values = {
            "inf": [math.inf, -math.inf],
            "nan": [math.nan],
            "subnormal": [float(info.smallest_subnormal), -float(info.smallest_subnormal)],
            "max": [float(info.max), float(info.min)],
            "zero": [0.0, -0.0],
        }
        return [value for name in self.specials for value in values[name]]

    @cached_property
    def extremes(self) -> NDArray[Any]:
        """Both bounds, and zero or what lies nearest to it."""
        middle = min(max(0, self.low), self.high)
        return np.array([self.low, self.high, middle], self.dtype)

    @cached_property
    def stand_in(self) -> float:
        """An element to take the place of excluded ones."""
        candidates = [1, -1, self.high, self.low, (self.low + self.high) / 2]
        for value in candidates:
            cast = self.dtype.type(value)
            if self.low <= cast <= self.high and cast.item() not in self.exclude:
                return float(value)
        raise ContractSyntaxError("exclude leaves no value in the range")


def scalar_strategy(spec: ArraySpec) -> st.SearchStrategy[Any]:
    """Return a strategy of Python numbers that the dtype represents exactly."""
    return spec.element


def draw_array(draw: Draw, shape: tuple[int, ...], spec: ArraySpec) -> NDArray[Any]:
    """Draw an array.

    Raises:
        ContractSyntaxError: more than 2^24 elements are asked for.
    """
    size = math.prod(shape)
    if size > MAX_ELEMENTS:
        raise ContractSyntaxError(f"an array of shape {shape} is too large to draw")
    if size == 0:
        return np.zeros(shape, spec.dtype)
    # Drawn first, so that it stays as it is where Hypothesis tries another base.
    replaced = draw(_small(min(MAX_REPLACED, size)))
    flat = _base(draw, size, spec)
    for _ in range(replaced):
        index = draw(_small(size - 1))
        flat[index] = draw(spec.element)
    if spec.unique and np.unique(flat).size < size:
        reject()
    return flat.reshape(shape)


@lru_cache(maxsize=512)
def _small(high: int) -> st.SearchStrategy[int]:
    return st.integers(0, high)


def _base(draw: Draw, size: int, spec: ArraySpec) -> NDArray[Any]:
    base = draw(_FLOAT_BASES if spec.is_float else _INTEGER_BASES)
    if base == "constant" and not spec.unique:
        return np.full(size, draw(spec.element), spec.dtype)
    seed = draw(_SEEDS)
    generator = np.random.default_rng(seed)
    if spec.unique:
        values = _distinct(generator, size, spec)
    elif base == "extremes":
        values = generator.choice(spec.extremes, size)
    elif not spec.is_float:
        values = generator.integers(int(spec.low), int(spec.high), size, spec.dtype, endpoint=True)
    else:
        values = _floats(generator, base, size, spec, round_numbers=seed < _ROUND_SEEDS)
    if spec.exclude:
        values[np.isin(values, spec.exclude)] = spec.stand_in
    return values


@np.errstate(over="ignore")  # near the largest float, rounding up is clipped afterwards
def _floats(
    generator: np.random.Generator,
    base: str,
    size: int,
    spec: ArraySpec,
    *,
    round_numbers: bool = False,
) -> NDArray[Any]:
    half = spec.high / 2 - spec.low / 2
    if base == "uniform":
        share = generator.random(size)
        raw = spec.low * (1 - share) + spec.high * share
    elif base == "normal":
        raw = (spec.low / 2 + spec.high / 2) + half / 4 * generator.standard_normal(size)
    else:
        # Every order of magnitude that the range holds, not only the largest.
        bound = max(abs(spec.low), abs(spec.high))
        raw = bound * np.exp2(-_OCTAVES * generator.random(size))
        raw = np.where(generator.random(size) < 0.5, -raw, raw)
        raw = np.where((raw < spec.low) | (raw > spec.high), -raw, raw)
    if round_numbers and half > 0:
        step = 10.0 ** (math.floor(math.log10(half)) - 1)
        raw = np.round(raw / step) * step
    clipped = np.clip(raw, spec.low, spec.high)
    values: NDArray[Any] = clipped.astype(spec.dtype)
    return values


def _distinct(generator: np.random.Generator, size: int, spec: ArraySpec) -> NDArray[Any]:
    if not spec.is_float and spec.high - spec.low + 1 < size:
        raise ContractSyntaxError(
            f"{size} distinct values do not fit into [{spec.low}, {spec.high}]"
        )
    if spec.is_float:
        values = _floats(generator, "uniform", size, spec)
        for _ in range(8):
            _, first = np.unique(values, return_index=True)
            if first.size == size:
                break
            repeated = np.setdiff1d(np.arange(size), first)
            values[repeated] = _floats(generator, "uniform", repeated.size, spec)
        return values
    span = int(spec.high) - int(spec.low) + 1
    if span <= 4 * size:
        offsets = generator.permutation(span)[:size]
    else:
        offsets = np.sort(generator.choice(min(span, 2**62), size, replace=False))
        generator.shuffle(offsets)
    return np.array([int(spec.low) + int(offset) for offset in offsets], spec.dtype)
