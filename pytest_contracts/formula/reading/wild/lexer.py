"""The characters of existing contract files: more spellings than the strict notation has.

Arrows, ``AND``, ``infinity``, ``^``, ``xᵢ``, ``θ'`` and ``ŷ`` become tokens of the strict parser;
what has no counterpart there (``∪``, ``^``, ``—``) becomes an operator token of its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar

from pytest_contracts.formula.reading.lexer import (
    _SPACE,
    _SUBSCRIPT_DIGITS,
    REFUSED_WORDS,
    WORDS,
    Lexer,
    Token,
)

_SIGNS = {
    "<=>": "iff", "<->": "iff", "⇔": "iff", "↔": "iff",
    "->": "implies", "=>": "implies", "→": "implies", "⇒": "implies",
    "||": "‖", "&&": "and", "^": "^", "—": "—", "–": "—",
    "∪": "∪", "∩": "∩", "⊆": "⊆", "⊇": "⊇",
}  # fmt: skip
_FIRST = frozenset(sign[0] for sign in _SIGNS)
_SPOKEN = {
    "AND": "and", "OR": "or", "NOT": "not", "XOR": "xor", "IMPLIES": "implies", "IFF": "iff",
    "FORALL": "forall", "infinity": "inf", "Infinity": "inf", "INFINITY": "inf",
}  # fmt: skip
_SETS = {"ℝ": "Reals", "ℤ": "Integers", "ℕ": "Naturals", "ℚ": "Rationals"}
_SUBSCRIPT_LETTERS = dict(zip("ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "aehijklmnoprstuvx", strict=True))
_PRIMES = "'′"
_TIMES_NAME = re.compile(r"(?:[a-z]|[\u0370-\u03ff])(?![^\W_]|[₀-₉])")
"""One letter that a number may stand before as a factor: ``8h``, but not ``8.0B`` or ``2nd``."""
_CLOSING = re.compile(r"\s*(?:[|‖)\],]|$|[<>=≤≥≠≈])")

GUARD_WORDS = frozenset({"with"})
"""Words that are keywords of Python, yet mere words here."""


class WildLexer(Lexer):
    """Reads tokens of a formula as existing contract files write them."""

    steps: ClassVar[int] = 20_000

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.read = 0

    def token(self, position: int) -> Token:
        """Return the token that starts at or after ``position``."""
        self.read += 1
        if self.read > self.steps:
            raise self.error("the formula takes too long to read", position)
        text = self.text
        start = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        spaced = start > position
        for sign, operator in _SIGNS.items() if text[start : start + 1] in _FIRST else ():
            if text.startswith(sign, start):
                return Token("operator", operator, start, start + len(sign), spaced)
        if start < len(text) and (text[start] in _SUBSCRIPT_LETTERS or text[start] in _SETS):
            return self._word(start, spaced)
        return super().token(position)

    def _number(self, match: re.Match[str], spaced: bool) -> Token:
        start, end = match.span()
        factor = _TIMES_NAME.match(self.text, end)
        if factor is None or match.group()[-1] == ".":
            return super()._number(match, spaced)
        before = self.text[:start].rstrip()
        if before.endswith(("/", "^", "%", "**")) or _exponent(match.group()):
            raise self.error(f"'{self.text[start : factor.end()]}' is ambiguous here", start)
        value = Lexer(match.group()).token(0).value
        return Token("number", match.group(), start, end, spaced, value)

    def _word(self, start: int, spaced: bool) -> Token:
        text, end, letters = self.text, start, ""
        lowered = False
        while end < len(text):
            character = text[end]
            if character in _SUBSCRIPT_LETTERS:
                letters += ("" if lowered else "_") + _SUBSCRIPT_LETTERS[character]
                lowered = True
            elif character in _SETS and not letters:
                letters += _SETS[character]
            elif _in_name(character):
                letters += character
                lowered = False
            elif character in _PRIMES and letters:
                letters += "_prime"
            else:
                break
            end += 1
        word = letters.translate(_SUBSCRIPT_DIGITS)
        if text.startswith("*", end) and _CLOSING.match(text, end + 1) and word not in WORDS:
            word, end = f"{word}_star", end + 1
        if word in _SPOKEN:
            return Token("operator", _SPOKEN[word], start, end, spaced)
        if word == "mod" and not text.startswith("(", end):
            return Token("operator", "%", start, end, spaced)
        if word in WORDS:
            return Token("operator", word, start, end, spaced)
        if word in GUARD_WORDS:
            return Token("name", word, start, end, spaced)
        if "__" in word or word in REFUSED_WORDS or not word.isidentifier():
            raise self.error(f"'{word}' is not part of a formula", start)
        return Token("name", unicodedata.normalize("NFKC", word), start, end, spaced)


def _exponent(number: str) -> bool:
    # "2e" and "0x1f" followed by a letter are broken numbers, not products.
    return number[-1] in "eE" or number[:2].lower() in ("0x", "0b", "0o")


def _in_name(character: str) -> bool:
    category = unicodedata.category(character)
    if character == "_" or category in ("Nd", "Mn"):
        return True
    # Letters raised or lowered, as in xⁿ or Tᵀ, are no part of a name.
    if category == "No" or (category == "Lm" and unicodedata.decomposition(character)):
        return character in "₀₁₂₃₄₅₆₇₈₉"
    return category[0] == "L"
