"""Whether a template is checked beside a claim's own formula: only where nothing must be guessed.

Without a formula a template guesses, such as that monotonicity is about the first parameter, and a
wrong guess shows at once. Beside a formula it would raise a false alarm over what the author did
not claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_contracts.items.obligations.clause import Clause
from pytest_contracts.items.obligations.declared import interval_of


def _always(clause: Clause) -> bool:
    return True


def _never(clause: Clause) -> bool:
    return False


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


_RULES: Mapping[str, Callable[[Clause], bool]] = {
    "equivalence": _always,
    "determinism": _always,
    "frame": _always,
    "bound": lambda clause: interval_of(clause.equation) is not None,
    **dict.fromkeys(
        ("idempotency", "involution", "linearity", "additivity", "homogeneity"), _of_one
    ),
    **dict.fromkeys(("symmetry", "commutativity", "associativity"), _of_two),
    **dict.fromkeys(("monotonicity", "ordering"), _ordered),
}


def says_enough(clause: Clause) -> bool:
    """Tell whether the equation and its domains leave the template nothing to guess."""
    drawn = all(clause.domain(name) is not None for name in clause.parameters)
    return drawn and _RULES.get(clause.claim.type, _never)(clause)
