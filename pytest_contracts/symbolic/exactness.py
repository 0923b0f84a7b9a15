"""Where the path engine reasons about something else than what the machine computes.

CrossHair takes floats for reals on some paths and follows IEEE arithmetic on others; how it rounds
integers on the way, and how it rounds floats to integers, differs from CPython. NumPy takes a
symbolic value for an object of no known type, and computes with it in Python's integers, which do
not wrap. While `watched` is open, each such step is noted; a run with a note confirms nothing.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

EXACT_INTEGERS = 2**53
"""Up to here every integer is a binary64 (IEEE 754, 53 bits of significand)."""

LARGE_INTEGER = "an integer that may exceed 2^53 became a float, over the reals that loses nothing"
FLOAT_STEP = "a float was rounded, or used otherwise than by + - * / and comparisons"
NUMPY = "NumPy computed with a drawn value as an object, without the width of its types"

# What the engine does as IEEE 754 says, once both sides are floats.
_EXACT_STEPS = frozenset(
    (
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.eq,
        operator.ne,
        operator.lt,
        operator.le,
        operator.gt,
        operator.ge,
    )
)
_ABSENT = object()


@contextmanager
def watched(note: Callable[[str], None], note_reals: Callable[[], None]) -> Iterator[None]:
    """Call ``note`` with each kind of step, as often as it is taken, that may not be exact.

    ``note_reals`` is called wherever the engine takes a real number for a float.
    """
    with ExitStack() as replaced:
        for owner, name, value in (*_float_watch(note, note_reals), *_numpy_watch(note)):
            replaced.enter_context(_replaced(owner, name, value))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = vars(owner).get(name, _ABSENT)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _float_watch(
    note: Callable[[str], None], note_reals: Callable[[], None]
) -> Iterator[tuple[Any, str, object]]:
    """Yield what is replaced so that integers turning into floats, and steps on floats, are seen.

    Every symbolic float begins in its class; one that does so outside of an exact step is noted.
    """
    from crosshair.libimpl import builtinslib
    from crosshair.libimpl.builtinslib import (
        PreciseIeeeSymbolicFloat,
        SymbolicFloat,
        SymbolicInt,
    )
    from crosshair.statespace import context_statespace
    from crosshair.tracers import NoTracing
    from crosshair.util import UnexploredPath

    inside = 0  # exact steps that are under way
    compute, to_float = builtinslib.numeric_binop_internal, SymbolicInt.__float__

    def check_size(value: object) -> None:
        if isinstance(value, SymbolicInt):
            beyond = _beyond(value.var)
            try:
                large = context_statespace().is_possible(beyond)
            except UnexploredPath:  # not known is not exact
                large = True
        else:
            large = isinstance(value, int) and abs(value) > EXACT_INTEGERS
        if large:
            note(LARGE_INTEGER)

    def binop(op: Any, a: Any, b: Any) -> Any:
        nonlocal inside
        floats = (float, SymbolicFloat, builtinslib.KindedFloat)
        to_floats = isinstance(a, floats) or isinstance(b, floats) or op is operator.truediv
        if not to_floats:
            return compute(op, a, b)
        if op not in _EXACT_STEPS:
            note(FLOAT_STEP)
        for side in (a, b):
            check_size(side)
        inside += 1
        try:
            return compute(op, a, b)
        finally:
            inside -= 1

    def converted(self: Any) -> Any:
        nonlocal inside
        with NoTracing():
            check_size(self)
            inside += 1
            try:
                return to_float(self)
            finally:
                inside -= 1

    def rounded() -> None:
        if not inside:
            note(FLOAT_STEP)

    def rounded_real() -> None:
        note_reals()
        rounded()

    yield builtinslib, "numeric_binop_internal", binop
    yield SymbolicInt, "__float__", converted
    for kind in SymbolicFloat.__subclasses__():
        ieee = issubclass(kind, PreciseIeeeSymbolicFloat)
        yield kind, "__init__", _noting_init(kind.__init__, rounded if ieee else rounded_real)


def _noting_init(begin: Callable[..., None], seen: Callable[[], None]) -> Callable[..., None]:
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        seen()
        begin(self, *arguments, **named)

    return init


def _beyond(variable: Any) -> Any:
    import z3

    return z3.Or(variable > EXACT_INTEGERS, variable < -EXACT_INTEGERS)


def _numpy_watch(note: Callable[[str], None]) -> Iterator[tuple[Any, str, object]]:
    """Yield what makes NumPy ask a symbolic number for an array, in place of wrapping it."""
    if "numpy" not in sys.modules:
        return
    import numpy as np
    from crosshair.core import realize
    from crosshair.libimpl.builtinslib import SymbolicNumberAble

    def array(self: Any, dtype: Any = None, copy: Any = None) -> Any:
        note(NUMPY)
        return np.array(realize(self), dtype)

    yield SymbolicNumberAble, "__array__", array
