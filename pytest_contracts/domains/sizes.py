"""Sizes and bounds in domains: numbers, or expressions over variables drawn earlier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from pytest_contracts.errors import ContractSyntaxError

Environment = Mapping[str, Any]
MAX_DIGITS = 100


@dataclass(frozen=True, slots=True)
class Quantity:
    """A size or bound: a number, or an expression over variables drawn earlier."""

    text: str
    value: int | float | None
    needs: frozenset[str]

    @classmethod
    def of(cls, spec: Any) -> Quantity:
        """Read a number, a name or an expression."""
        if isinstance(spec, bool) or not isinstance(spec, int | float | str):
            raise ContractSyntaxError(f"a size or bound cannot be {spec!r}")
        if isinstance(spec, int | float):
            return cls(str(spec), spec, frozenset())
        text = spec.strip()
        value = number(text)
        if value is not None:
            return cls(text, value, frozenset())
        if text.isidentifier() and text not in ("inf", "pi"):
            return cls(text, None, frozenset({text}))
        from pytest_contracts import formula

        return cls(text, None, frozenset(formula.free_names(formula.parse(text))))

    def __call__(self, environment: Environment) -> Any:
        """Return the value under an environment."""
        if self.value is not None:
            return self.value
        if self.text in environment:
            value = environment[self.text]
        else:
            from pytest_contracts import formula

            value = formula.evaluate(_parsed(self.text), environment)
        return value.item() if isinstance(value, np.generic | np.ndarray) else value

    def size(self, environment: Environment) -> int:
        """Return the value as a non-negative whole number."""
        value = self(environment)
        if isinstance(value, bool) or not 0 <= value < inf or value != int(value):
            raise ContractSyntaxError(f"{self.text} = {value!r} is not a size")
        return int(value)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    from pytest_contracts import formula

    return formula.parse(text)


def number(text: str) -> int | float | None:
    """Return the number that a text is, None where it is something else.

    One beyond the range of float64 is something else: it must not become infinite unnoticed.
    """
    plain = text.strip().replace("−", "-").replace("∞", "inf").replace("_", "")
    if len(plain) > MAX_DIGITS:
        return None
    for kind in (int, float):
        try:
            value = kind(plain)
        except ValueError:
            continue
        return None if value in (inf, -inf) and "inf" not in plain.lower() else value
    return None


def range_ends(text: str) -> tuple[str, str] | None:
    """Return the two sides of ``low..high``, None where the text is no range."""
    low, dots, high = (part.strip() for part in text.partition(".."))
    return (low, high) if low and dots and high else None
