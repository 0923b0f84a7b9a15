"""The fixed function library; nothing else can be called, except the contract's own equations.

Elementwise: exp exp2 expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan atan2 sinh cosh
tanh erf sigmoid abs sign floor ceil round trunc clip hypot where, and max/min of two or more.
Reductions, with ``axis=`` and ``keepdims=`` as in NumPy, or over ``f(i) for i in range(n)``:
sum prod max min mean std var all any count norm argmax argmin (without ``axis``: all elements).
Arrays: shape size ndim len T dot outer concat stack reshape repeat flip cumsum sorted argsort
zeros ones zeros_like ones_like full eye range tril triu (``range`` excludes its end; ``T`` swaps
the last two axes; ``tril(x, k)`` keeps what lies on and below diagonal k).
Bits: & | << >> as operators; xor popcount signed(x, bits) float16 float32 (rounding)
float16_bits float32_bits float16_from_bits float32_from_bits.
Predicates, elementwise: finite isnan isinf. Comparisons: cosine(a, b), ulp_distance(a, b) on
float32 bit patterns, and sha256(x), the hex digest of an array's bytes or of a text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from pytest_contracts.formula import arithmetic
from pytest_contracts.formula.library import bits, elementwise, reductions, shaping
from pytest_contracts.formula.values import host, number


@dataclass(frozen=True, slots=True)
class Function:
    """A library function: how many arguments it takes, and what it does with raw values."""

    minimum: int
    maximum: int | None
    apply: Callable[..., Any]
    keywords: bool = False
    reduces: bool = False


def _table() -> dict[str, Function]:
    table: dict[str, Function] = {}
    for ufunc in (
        *(np.exp, np.exp2, np.expm1, np.log, np.log1p, np.log2, np.log10, np.sqrt),
        *(np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh),
    ):
        table[ufunc.__name__.replace("arc", "a")] = Function(1, 1, elementwise.of_floats(ufunc))
    for name, two in {"atan2": np.arctan2, "hypot": np.hypot}.items():
        table[name] = Function(2, 2, elementwise.of_floats(two))
    roundings: dict[str, tuple[np.ufunc, Callable[[float], int]]] = {
        "floor": (np.floor, math.floor),
        "ceil": (np.ceil, math.ceil),
        "round": (np.rint, round),
        "trunc": (np.trunc, math.trunc),
    }
    for name, rounding in roundings.items():
        table[name] = Function(1, 1, elementwise.rounding(*rounding))
    reducing: dict[str, Callable[..., Any]] = {
        "sum": reductions.reduction(reductions.exact(np.sum), empty=True),
        "prod": reductions.reduction(reductions.exact(np.prod), empty=True),
        "mean": reductions.reduction(np.mean),
        "std": reductions.reduction(np.std),
        "var": reductions.reduction(np.var),
        "all": reductions.reduction(reductions.truths(np.all), empty=True),
        "any": reductions.reduction(reductions.truths(np.any), empty=True),
        "count": reductions.reduction(reductions.truths(reductions.count), empty=True),
        "argmax": reductions.reduction(reductions.ordered(np.argmax)),
        "argmin": reductions.reduction(reductions.ordered(np.argmin)),
    }
    for name, reduction in reducing.items():
        table[name] = Function(1, 1, reduction, keywords=True, reduces=True)
    table |= {
        "max": Function(
            1, None, reductions.extremum(np.maximum, np.max), keywords=True, reduces=True
        ),
        "min": Function(
            1, None, reductions.extremum(np.minimum, np.min), keywords=True, reduces=True
        ),
        "norm": Function(1, 2, reductions.norm, keywords=True),
        "abs": Function(1, 1, elementwise.of_numbers(elementwise.absolute)),
        "sign": Function(1, 1, elementwise.of_numbers(elementwise.sign)),
        "erf": Function(1, 1, elementwise.of_floats(elementwise.erf)),
        "sigmoid": Function(1, 1, elementwise.of_floats(elementwise.sigmoid)),
        "clip": Function(3, 3, elementwise.clip),
        "where": Function(3, 3, elementwise.where),
        "shape": Function(1, 1, shaping.shape),
        "size": Function(1, 1, lambda precision, value: int(np.size(host(value)))),
        "ndim": Function(1, 1, lambda precision, value: int(np.ndim(host(value)))),
        "len": Function(1, 1, shaping.length),
        "T": Function(1, 1, elementwise.of_numbers(shaping.transpose)),
        "dot": Function(2, 2, shaping.dot),
        "outer": Function(2, 2, shaping.outer),
        "concat": Function(
            1, None, shaping.joined(np.concatenate, new_axis=False), keywords=True, reduces=True
        ),
        "stack": Function(
            1, None, shaping.joined(np.stack, new_axis=True), keywords=True, reduces=True
        ),
        "reshape": Function(2, 2, shaping.reshape),
        "repeat": Function(2, 2, shaping.repeat, keywords=True),
        "flip": Function(1, 1, shaping.along(np.flip), keywords=True),
        "cumsum": Function(1, 1, shaping.along(np.cumsum), keywords=True),
        "sorted": Function(
            1, 1, shaping.along(reductions.ordered(np.sort)), keywords=True, reduces=True
        ),
        "argsort": Function(
            1, 1, shaping.along(reductions.ordered(shaping.argsort)), keywords=True
        ),
        "zeros": Function(1, 1, shaping.filled(0.0)),
        "ones": Function(1, 1, shaping.filled(1.0)),
        "zeros_like": Function(1, 1, shaping.filled_like(0.0)),
        "ones_like": Function(1, 1, shaping.filled_like(1.0)),
        "full": Function(2, 2, shaping.full),
        "eye": Function(1, 1, shaping.eye),
        "range": Function(1, 3, shaping.range_of),
        "tril": Function(1, 2, shaping.triangle(np.tril)),
        "triu": Function(1, 2, shaping.triangle(np.triu)),
        "xor": Function(
            2, 2, lambda precision, a, b: arithmetic.xor(number(a), number(b), precision)
        ),
        "popcount": Function(1, 1, bits.popcount),
        "signed": Function(2, 2, bits.signed),
        "float16": Function(1, 1, bits.rounded_to(np.float16)),
        "float32": Function(1, 1, bits.rounded_to(np.float32)),
        "float16_bits": Function(1, 1, bits.bits_of(np.float16, np.uint16)),
        "float32_bits": Function(1, 1, bits.bits_of(np.float32, np.uint32)),
        "float16_from_bits": Function(1, 1, bits.from_bits(np.float16, np.uint16)),
        "float32_from_bits": Function(1, 1, bits.from_bits(np.float32, np.uint32)),
        "finite": Function(1, 1, elementwise.predicate(np.isfinite)),
        "isnan": Function(1, 1, elementwise.predicate(np.isnan)),
        "isinf": Function(1, 1, elementwise.predicate(np.isinf)),
        "cosine": Function(2, 2, bits.cosine_of),
        "ulp_distance": Function(2, 2, bits.ulp_distance_of),
        "sha256": Function(1, 1, bits.sha256),
    }
    return table


LIBRARY: Mapping[str, Function] = MappingProxyType(_table())
