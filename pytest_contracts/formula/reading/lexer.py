"""Characters to tokens: every Unicode spelling becomes its ASCII one, at its original offset.

Tokens are produced on demand, because a trailing ``(remark)`` is prose and never read.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.limits import MAX_INTEGER_BITS, MAX_SCRIPT_DIGITS
from pytest_contracts.formula.operators import OPERATORS

MAX_LENGTH = 10_000

Kind = Literal["number", "name", "operator", "superscript", "subscript", "end"]

SPELLINGS = {sign: operator.symbol for operator in OPERATORS for sign in operator.spellings} | {
    "¬": "not",
    "∀": "forall",
    "∃": "exists",
    "Σ": "Σ",
    "∑": "Σ",
    "Π": "Π",
    "∏": "Π",
    "√": "√",
    "‖": "‖",
    "∞": "inf",
    "…": "...",
    "ᵀ": "ᵀ",
    "π": "pi",
}
WORDS = frozenset(
    ("and", "or", "not", "in", "implies", "iff", "forall", "exists", "for", "when", "if", "else")
)
REFUSED_WORDS = frozenset(keyword.kwlist) - WORDS - {"True", "False"}
REFUSED = {
    "||": "write ‖x‖ or norm(x) for a norm, abs(x) for bars within bars",
    "^": "write x**2 or x² for a power, xor(a, b) for exclusive or",
    "->": "write 'implies' or ⟹",
    "=>": "write 'implies' or ⟹",
    "→": "write 'implies' or ⟹",
    "⇒": "write 'implies' or ⟹",
    "&&": "write 'and'",
    ":=": "write '=' in a definition",
    "~": "bitwise not has no fixed width here; write xor(x, 2**bits - 1)",
}
_SIGNS = sorted(
    {operator.symbol for operator in OPERATORS if not operator.symbol[0].isalpha()}
    | {"...", "..", *"()[]{},:;."},
    key=len,
    reverse=True,
)
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
)
_SUPERSCRIPT = re.compile(r"⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SUPERSCRIPT_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SUBSCRIPT_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_SPACE = re.compile(r"[ \t\r\n\u00a0\u2009\u202f]*")


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``spaced`` tells whether white space stands before it."""

    kind: Kind
    text: str
    offset: int
    end: int
    spaced: bool
    value: int | float = 0


def _is_name_part(character: str) -> bool:
    if character in SPELLINGS or _SUPERSCRIPT.match(character):
        return False
    return character == "_" or unicodedata.category(character)[0] in "LN"


class Lexer:
    """Reads tokens of one formula from left to right."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            message = f"the formula is longer than {MAX_LENGTH} characters"
            raise FormulaError(message, text=text[:80])
        self.text = text

    def error(self, message: str, offset: int, hint: str | None = None) -> FormulaError:
        """Return the error for a place in the text."""
        return FormulaError(message, text=self.text, offset=offset, hint=hint)

    def token(self, position: int) -> Token:
        """Return the token that starts at or after ``position``."""
        text = self.text
        start = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        spaced = start > position
        if start == len(text):
            return Token("end", "end of the formula", start, start, spaced)
        character = text[start]
        if match := _NUMBER.match(text, start):
            return self._number(match, spaced)
        if match := _SUPERSCRIPT.match(text, start):
            return self._script("superscript", match, _SUPERSCRIPT_DIGITS, spaced)
        if match := _SUBSCRIPT.match(text, start):
            return self._script("subscript", match, _SUBSCRIPT_DIGITS, spaced)
        for refused, hint in REFUSED.items():
            if text.startswith(refused, start):
                raise self.error(f"'{refused}' is not part of the formula language", start, hint)
        for operator in _SIGNS:
            if text.startswith(operator, start):
                return Token("operator", operator, start, start + len(operator), spaced)
        if character in SPELLINGS:
            return Token("operator", SPELLINGS[character], start, start + 1, spaced)
        if character == "ε":
            return Token("name", "tolerance", start, start + 1, spaced)
        if character == "_" or unicodedata.category(character)[0] == "L":
            return self._word(start, spaced)
        if character in "\"'`":
            raise self.error("a formula holds no strings", start)
        raise self.error(f"unexpected character {character!r}", start)

    def _script(
        self, kind: Kind, match: re.Match[str], digits: dict[int, int], spaced: bool
    ) -> Token:
        written = match.group().translate(digits)
        if len(written) > MAX_SCRIPT_DIGITS:
            raise self.error(f"a {kind} of more than {MAX_SCRIPT_DIGITS} digits", match.start())
        return Token(kind, written, match.start(), match.end(), spaced, int(written))

    def _number(self, match: re.Match[str], spaced: bool) -> Token:
        written = match.group()
        start, end = match.span()
        plain = written.replace("_", "")
        try:
            if plain[:2].lower() in ("0x", "0b", "0o"):
                value: int | float = int(plain, 0)
            elif plain.isdigit():
                if len(plain) > 350:
                    raise self.error("the number is too large", start)
                value = int(plain)
            else:
                value = float(plain)
        except ValueError:
            raise self.error(f"{written!r} is not a number", start) from None
        if value == float("inf") or (
            isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS
        ):
            raise self.error("the number is too large", start)
        if end < len(self.text) and _is_name_part(self.text[end]):
            raise self.error(
                f"'{self.text[start : end + 1]}' is neither a number nor a name",
                start,
                f"a product needs its sign: {written}·{self.text[end]}",
            )
        return Token("number", written, start, end, spaced, value)

    def _word(self, start: int, spaced: bool) -> Token:
        end = start
        text = self.text
        while end < len(text) and _is_name_part(text[end]):
            end += 1
        word = text[start:end].translate(_SUBSCRIPT_DIGITS)
        if word in WORDS:
            return Token("operator", word, start, end, spaced)
        if "__" in word or word in REFUSED_WORDS or not word.isidentifier():
            raise self.error(f"'{word}' is not part of the formula language", start)
        return Token("name", unicodedata.normalize("NFKC", word), start, end, spaced)
