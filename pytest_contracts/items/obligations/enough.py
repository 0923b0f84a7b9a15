"""Whether a template is checked beside a claim's own formula: only where nothing must be guessed.

Without a formula a template guesses, such as that monotonicity is about the first parameter, and a
wrong guess shows at once. Beside a formula it would raise a false alarm over what the author did
not claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_contracts.items.obligations.clause import Clause


@dataclass(frozen=True)
class Enough:
    """When the binding says enough, in words (Markdown, for the reference page) and as a test.

    That every parameter is drawn goes without saying.
    """

    words: str
    holds: Callable[[Clause], bool]

    def says(self, clause: Clause) -> bool:
        """Tell whether the equation and its domains leave the template nothing to guess."""
        drawn = all(clause.domain(name) is not None for name in clause.parameters)
        return drawn and self.holds(clause)


def _within_tolerance(clause: Clause) -> bool:
    """An equality of floats holds within a tolerance, if at all."""
    return clause.claim.tolerance is not None or not clause.is_float(clause.parameters[0])


def _of_one(clause: Clause) -> bool:
    return len(clause.parameters) == 1 and _within_tolerance(clause)


def _of_two(clause: Clause) -> bool:
    if len(clause.parameters) != 2 or not _within_tolerance(clause):
        return False
    first, second = map(clause.domain, clause.parameters)
    return first is not None and bool(first == second)


def _ordered(clause: Clause) -> bool:
    name = clause.parameters[0]
    return len(clause.parameters) == 1 and (clause.is_number(name) or clause.is_vector(name))


ALWAYS = Enough("always", lambda clause: True)
NEVER = Enough("never without a key of the type", lambda clause: False)
OF_ONE = Enough(
    "the equation has one parameter; the claim has a `tolerance`, or the parameter is no float",
    _of_one,
)
OF_TWO = Enough(
    "the equation has two parameters, from one domain; the claim has a `tolerance`, "
    "or the parameters are no floats",
    _of_two,
)
ORDERED = Enough("the equation has one parameter, a number or a vector", _ordered)
