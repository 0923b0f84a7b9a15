"""Texts and token sequences as inputs: what an alphabet or a vocabulary allows, of some length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st

from pytest_contracts.domains.sizes import Environment, Quantity, range_ends
from pytest_contracts.errors import ContractSyntaxError

MAX_LENGTH = 1 << 20
DEFAULT_LENGTH = "0..64"
# Unicode's general categories and their first letters; a surrogate is no character of a text.
_CATEGORIES = frozenset(
    (
        *("L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No"),
        *("P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So"),
        *("Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn"),
    )
)


def length_of(spec: Mapping[str, Any]) -> tuple[Quantity, Quantity]:
    """Return the bounds that ``length:`` gives, both included."""
    value = spec.get("length", DEFAULT_LENGTH)
    ends = range_ends(value) if isinstance(value, str) else None
    low, high = ends or (value, value)
    return Quantity.of(low), Quantity.of(high)


def sizes(low: Quantity, high: Quantity, environment: Environment) -> tuple[int, int]:
    """Return the least and the greatest length.

    Raises:
        ContractSyntaxError: there is none between, or one is beyond 2^20.
    """
    least, most = low.size(environment), high.size(environment)
    if least > most:
        raise ContractSyntaxError(f"the length {least}..{most} is empty")
    if most > MAX_LENGTH:
        raise ContractSyntaxError(f"a length of {most} is more than {MAX_LENGTH}")
    return least, most


def token_ids(vocabulary: int, least: int, most: int) -> st.SearchStrategy[list[int]]:
    """Return token ids below a vocabulary size; they shrink to the fewest, and to id 0.

    Raises:
        ContractSyntaxError: the vocabulary is empty.
    """
    if vocabulary < 1:
        raise ContractSyntaxError("the vocabulary is empty")
    return st.lists(st.integers(0, vocabulary - 1), min_size=least, max_size=most)


def characters(spec: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Return the characters of ``alphabet:``, of ``categories:``, or all of Unicode.

    Raises:
        ContractSyntaxError: both are given, or one of them names no characters.
    """
    alphabet, categories = spec.get("alphabet"), spec.get("categories")
    if alphabet is not None and categories is not None:
        raise ContractSyntaxError("alphabet and categories exclude each other")
    if alphabet is not None:
        return st.sampled_from(_alphabet(alphabet))
    if categories is None:
        return st.characters(codec="utf-8")
    names: Any = (categories,) if isinstance(categories, str) else categories
    if not isinstance(names, Sequence) or not names or not set(map(str, names)) <= _CATEGORIES:
        raise ContractSyntaxError(
            f"categories cannot be {categories!r}",
            hint="They are Unicode's general categories, such as Lu, Nd or L, without surrogates.",
        )
    return st.characters(codec="utf-8", categories=tuple(names))


def _alphabet(alphabet: Any) -> list[str]:
    found = list(alphabet) if isinstance(alphabet, str | Sequence) else []
    if not found or not all(isinstance(one, str) and len(one) == 1 for one in found):
        raise ContractSyntaxError(
            f"alphabet cannot be {alphabet!r}",
            hint='It is a text or a list of single characters: "ACGT", ["a", "\\n"].',
        )
    return list(dict.fromkeys(found))


def text(alphabet: st.SearchStrategy[str], least: int, most: int) -> st.SearchStrategy[str]:
    """Return texts over an alphabet; they shrink to the shortest."""
    return st.text(alphabet, min_size=least, max_size=most)
