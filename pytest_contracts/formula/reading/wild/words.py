"""The words that begin a guard behind a claim."""

from __future__ import annotations

import re

from pytest_contracts.formula.reading.wild.operands import WildOperands

CONDITIONS = frozenset({"when", "if", "for", "where", "with", "given"})
"""Words that a condition follows."""
_PLACES = frozenset({"at", "after", "under", "during", "in"})


def guard_word(parser: WildOperands) -> str | None:
    """Return the word that begins a guard here, None where there is none."""
    token = parser.current
    text = parser.text[token.offset : token.end]
    if token.kind == "operator" and token.text == "forall":
        return "for"
    if parser.at("(") and token.spaced and parser.lists:
        inside = re.match(r"\(\s*(for|with|when|if|where|within)\s", parser.text[token.offset :])
        if inside is not None and parser.text.rstrip().endswith(")"):
            return "("
    known = text in CONDITIONS or text in _PLACES or text in ("per", "within")
    return text if known and token.kind in ("name", "operator") else None
