"""A function of the formula language: all that is known of it, in one row.

The rows stand at the end of the modules that evaluate them; ``LIBRARY`` is made of them, and so is
the table of the reference page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pytest_contracts.formula.library.forms import CALL, Form
from pytest_contracts.formula.shapes import Shape
from pytest_contracts.formula.tree import Call

RESULT: Final = "result"
TERMS: Final = "terms"

ShapeRule: TypeAlias = Callable[[Call, Sequence[Shape]], Shape]


@dataclass(frozen=True, slots=True)
class Function:
    """A library function.

    It takes ``minimum`` to ``maximum`` arguments (None: any number), the working precision and raw
    values in ``apply``. ``shape`` is the rule for the shape of its value, ``meaning`` its line of
    the reference. With ``keywords`` it takes ``axis=`` and ``keepdims=``; what ``reduces`` takes
    ``f(i) for i in range(n)`` as well, each item an argument of its own where it ``spreads``.
    ``form`` is how calls are written in reports. ``rounds`` tells whether its result
    is rounded, or what it adds up as well.
    """

    name: str
    minimum: int
    maximum: int | None
    apply: Callable[..., Any]
    shape: ShapeRule
    meaning: str
    keywords: bool = False
    reduces: bool = False
    spreads: bool = False
    form: Form = CALL
    rounds: Literal["", "result", "terms"] = ""

    @property
    def arguments(self) -> str:
        """How many arguments there may be, as the reference shows it."""
        if self.maximum is None:
            return f"{self.minimum}+"
        one = self.minimum == self.maximum
        return f"{self.minimum}" if one else f"{self.minimum}–{self.maximum}"
