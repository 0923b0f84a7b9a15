"""Operators on numbers and arrays: exact on integers, floating otherwise, bounded in size."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.limits import MAX_INTEGER_BITS
from pytest_contracts.formula.values import (
    MAX_MULTIPLICATIONS,
    Undefined,
    ensure_size,
    integers,
    number,
    settle,
)

_INT64 = 1 << 63


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an operand; a scalar's is empty."""
    return value.shape if isinstance(value, np.ndarray) else ()


def broadcast(*values: Any) -> tuple[int, ...]:
    """Return the common shape of operands.

    Raises:
        FormulaError: there is none, or it is too large.
    """
    shapes = [shape_of(value) for value in values]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(str(list(shape)) for shape in shapes)
        raise FormulaError(f"shapes {listed} do not fit together") from None
    ensure_size(*shape)
    return shape


def _magnitude(value: Any) -> int:
    if isinstance(value, int):
        return abs(value)
    return max(abs(int(value.max())), abs(int(value.min()))) if value.size else 0


def _is_integral(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, np.ndarray) and value.dtype.kind == "i")


def _floating(value: Any, precision: DTypeLike) -> Any:
    return np.asarray(value, dtype=precision)[()]


def _elementwise(
    exact: Callable[[int, int], int],
    ufunc: np.ufunc,
    bound: Callable[[int, int], int],
) -> Callable[[Any, Any, DTypeLike], Any]:
    def apply(left: Any, right: Any, precision: DTypeLike) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            return _checked(exact(left, right))
        broadcast(left, right)
        if _is_integral(left) and _is_integral(right):
            # int64 arrays wrap silently: beyond 63 bits the result is computed in floating point.
            largest = bound(_magnitude(left), _magnitude(right))
            if max(largest, _magnitude(left), _magnitude(right)) < _INT64:
                return settle(ufunc(left, right), precision)
            left, right = _floating(left, precision), _floating(right, precision)
        return settle(ufunc(_weak(left, precision), _weak(right, precision)), precision)

    return apply


def _weak(value: Any, precision: DTypeLike) -> Any:
    """Return an operand of a floating operation; int64 arrays take the working precision."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "i":
        return value.astype(precision)
    if isinstance(value, int):
        return np.longdouble(value) if precision is np.longdouble else float(value)
    return value


def _checked(value: int) -> int:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise FormulaError(f"an integer would have more than {MAX_INTEGER_BITS} bits")
    return value


def divide(left: Any, right: Any, precision: DTypeLike) -> Any:
    """Return the floating quotient."""
    broadcast(left, right)
    return settle(np.true_divide(_weak(left, precision), _weak(right, precision)), precision)


def _integer_division(ufunc: np.ufunc, exact: Callable[[int, int], int]) -> Callable[..., Any]:
    def apply(left: Any, right: Any, precision: DTypeLike) -> Any:
        if _is_integral(left) and _is_integral(right):
            if not np.all(right):
                raise Undefined("integer division by zero")
            if isinstance(left, int) and isinstance(right, int):
                return exact(left, right)
            if _magnitude(left) >= _INT64 or _magnitude(right) >= _INT64:
                left, right = _floating(left, precision), _floating(right, precision)
            broadcast(left, right)
            return settle(ufunc(left, right), precision)
        broadcast(left, right)
        return settle(ufunc(_weak(left, precision), _weak(right, precision)), precision)

    return apply


def power(base: Any, exponent: Any, precision: DTypeLike) -> Any:
    """Return ``base ** exponent``; exact for integers whose result is not too large."""
    broadcast(base, exponent)
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if abs(base) > 1 and base.bit_length() * exponent > MAX_INTEGER_BITS + exponent:
            raise FormulaError(f"{base}**{exponent} is too large")
        # The parity of the exponent is all that matters to -1, 0 and 1.
        return _checked(base ** (exponent if abs(base) > 1 else min(exponent, 2 + exponent % 2)))
    if _is_integral(base) and _is_integral(exponent) and np.all(np.asarray(exponent) >= 0):
        largest = _magnitude(exponent)
        if largest <= 62 and _magnitude(base) ** max(largest, 1) < _INT64:
            return settle(np.power(np.asarray(base, dtype=np.int64), exponent), precision)
    return settle(np.power(_weak(base, precision), _weak(exponent, precision)), precision)


def matmul(left: Any, right: Any, precision: DTypeLike) -> Any:
    """Return the matrix product in the working precision."""
    if not shape_of(left) or not shape_of(right):
        raise FormulaError("'@' needs arrays on both sides; '·' multiplies elementwise")
    rows, inner = (left.shape[-2] if left.ndim > 1 else 1), left.shape[-1]
    depth, columns = (right.shape[-2], right.shape[-1]) if right.ndim > 1 else (right.shape[0], 1)
    misfit = f"shapes {list(left.shape)} and {list(right.shape)} do not fit '@'"
    if inner != depth:
        raise FormulaError(f"{misfit}: {inner} is not {depth}")
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise FormulaError(misfit) from None
    ensure_size(*batch, rows, columns)
    if rows * columns * inner * int(np.prod(batch, dtype=object)) > MAX_MULTIPLICATIONS:
        raise FormulaError("the matrix product is too large")
    if not (_is_integral(left) and _is_integral(right)) or (
        _magnitude(left) * _magnitude(right) * max(inner, 1) >= _INT64
    ):
        left, right = _floating(left, precision), _floating(right, precision)
    return settle(np.matmul(left, right), precision)


def _bitwise(ufunc: np.ufunc, exact: Callable[[int, int], int]) -> Callable[..., Any]:
    def apply(left: Any, right: Any, precision: DTypeLike) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            return exact(left, right)
        broadcast(left, right)
        left, right = integers(left, "a bit operation"), integers(right, "a bit operation")
        return settle(ufunc(left, right), precision)

    return apply


def _shift(left_shift: bool) -> Callable[..., Any]:
    def apply(left: Any, right: Any, precision: DTypeLike) -> Any:
        broadcast(left, right)
        if not isinstance(left, int):
            left = integers(left, "a shift")
        if not isinstance(right, int):
            right = integers(right, "a shift")
        least = right if isinstance(right, int) else int(right.min(initial=0))
        if least < 0 or _magnitude(right) > MAX_INTEGER_BITS:
            raise FormulaError(f"a shift is by 0 to {MAX_INTEGER_BITS} bits")
        if isinstance(left, int) and isinstance(right, int):
            return _checked(left << right) if left_shift else left >> right
        if left_shift:
            if _magnitude(left) << _magnitude(right) >= _INT64:
                raise FormulaError("a shifted array element exceeds 63 bits")
            return settle(np.left_shift(left, right), precision)
        if isinstance(left, int) and left.bit_length() > 62:
            raise FormulaError("a shifted integer exceeds 62 bits")
        # A shift by 64 or more is undefined on int64; 63 already leaves only the sign.
        return settle(np.right_shift(left, np.minimum(right, 63)), precision)

    return apply


def xor(left: Any, right: Any, precision: DTypeLike) -> Any:
    """Return the exclusive or of integers."""
    return _bitwise(np.bitwise_xor, operator.xor)(left, right, precision)


OPERATORS: Mapping[str, Callable[[Any, Any, DTypeLike], Any]] = MappingProxyType(
    {
        "+": _elementwise(operator.add, np.add, operator.add),
        "-": _elementwise(operator.sub, np.subtract, operator.add),
        "*": _elementwise(operator.mul, np.multiply, operator.mul),
        "/": divide,
        "//": _integer_division(np.floor_divide, operator.floordiv),
        "%": _integer_division(np.remainder, operator.mod),
        "**": power,
        "@": matmul,
        "&": _bitwise(np.bitwise_and, operator.and_),
        "|": _bitwise(np.bitwise_or, operator.or_),
        "<<": _shift(True),
        ">>": _shift(False),
    }
)


def binary(symbol: str, left: Any, right: Any, precision: DTypeLike) -> Any:
    """Return ``left symbol right`` in the working precision."""
    return OPERATORS[symbol](number(left, precision), number(right, precision), precision)


def negative(value: Any, precision: DTypeLike) -> Any:
    """Return ``-value``."""
    value = number(value, precision)
    return -value if isinstance(value, int) else settle(np.negative(value), precision)
