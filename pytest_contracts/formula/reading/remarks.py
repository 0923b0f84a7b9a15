"""What may stand in parentheses behind a whole formula and be no part of it: words.

``10 (1 − p)`` is a product that lacks its sign, ``x = y (n > 0)`` a condition without ``when``. A
remark is what can be nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Container

from pytest_contracts.errors import FormulaError

_TRAILING = re.compile(r"(?:(\w+)|[^\s(,=<>≤≥≠≈∈∉+\-−*·/@%&|⟹⟺∧∨¬:])\s+\(([\w\s]+)\)\s*$")
_OPERATORS = frozenset(
    ("when", "where", "if", "else", "for", "in", "not", "and", "or", "implies", "iff")
)
_GUARD = re.compile(r"(?:when|where|if|for|with|provided|unless|except|within)\b")
_CLAIM = re.compile(
    r"[=<>≤≥≠≈∈∉⟹]|^(?:and|or|but|also|implies)\b|\b(?:at most|at least|exactly|max|min|than)\b.*\d"
)
"""What says something of values, so that leaving it out would leave out a part of the claim."""
_WORD = re.compile(r"(?<!\w)[^\W\d_]{3,}(?!\w)")


def not_a_remark(group: str, before: str, is_formula: bool) -> str | None:
    """Return how to write what stands in parentheses behind a formula, None where it is a remark.

    ``group`` includes its parentheses, ``before`` is the formula, and ``is_formula`` tells whether
    the group could be one.
    """
    words = group[1:-1].strip()
    if _GUARD.match(words):
        return "write a condition without parentheses, P when Q; a remark is words"
    if _CLAIM.search(words):
        return "join two claims with ∧, P ∧ Q; a remark is words that say nothing of values"
    own = set(_WORD.findall(words)) - set(_WORD.findall(before))
    if own and (_WORD.fullmatch(words) or not is_formula):
        return None
    return "write a product with its sign, a · (b); a remark is words"


def refuse_named(text: str, known: Container[str]) -> None:
    """Refuse a remark each of whose words is a name where the formula stands: ``10 (rate)``.

    Raises:
        FormulaError: it may be a factor.
    """
    found = _TRAILING.search(text)
    if found is None or str(found.group(1)).lower() in _OPERATORS:
        return
    words = re.findall(r"[^\W\d]\w*", found.group(2))
    if words and all(word in known for word in words):
        raise FormulaError(
            f"the remark ({found.group(2)}) says only names",
            text=text,
            offset=found.start(2) - 1,
            hint="write a product with its sign, a · (b), or leave the remark out",
        )
