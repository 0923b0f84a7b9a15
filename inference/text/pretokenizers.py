"""How text is cut into words before byte-pair merging, by llama.cpp's name of the rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import LLAMA3_RULES

_CONTRACTIONS = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
_LINES_AND_SPACES = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_QWEN2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_LINES_AND_SPACES}"
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_LINES_AND_SPACES}"


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """Patterns (Oniguruma syntax) applied one after the other, each inside the last one's pieces.

    With ``ignore_merges`` a word that is itself in the vocabulary is not merged up from bytes.
    """

    patterns: tuple[str, ...]
    ignore_merges: bool = False


PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "gpt-2": PreTokenizer((_GPT2,)),
    **{name: PreTokenizer((_LLAMA3,), ignore_merges=True) for name in sorted(LLAMA3_RULES)},
    "qwen2": PreTokenizer((_QWEN2,)),
    "smollm": PreTokenizer((r"\p{N}", _GPT2)),
}


def pre_tokenizer(name: str) -> PreTokenizer:
    """Return the rule of that name; ``TokenizerError`` for one that is not implemented."""
    try:
        return PRE_TOKENIZERS[name]
    except KeyError:
        raise TokenizerError(
            f"pre-tokenizer {name[:80]!r} is not implemented; "
            f"{', '.join(sorted(PRE_TOKENIZERS))} are"
        ) from None


_CHUNK = 1 << 16
_LONGEST_BLANK = 1 << 20
_WORD_THEN_SPACE = re.compile(r"(?<=\S) ")
_BLANK_RUN = re.compile(r"\s+")


def chunks(text: str) -> Iterator[str]:
    """Cut long text where every rule of this module has a word boundary anyway.

    The place before a space that follows a visible character is such a boundary: no pattern spans
    it, and none looks ahead across it.

    Raises:
        TokenizerError: more than a million blanks in a row, beyond the pattern engine's patience.
    """
    for part in cut(text, _WORD_THEN_SPACE):
        if len(part) > _LONGEST_BLANK:
            refuse_long_blanks(part)
        yield part


def cut(text: str, boundary: re.Pattern[str]) -> Iterator[str]:
    """Yield the parts of a text, cut at the first boundary after every 65,536 characters."""
    start = 0
    while len(text) - start > _CHUNK:
        found = boundary.search(text, start + _CHUNK)
        if found is None:
            break
        yield text[start : found.start()]
        start = found.start()
    yield text[start:]


def refuse_long_blanks(text: str) -> None:
    """Refuse more than a million blanks in a row with a `TokenizerError`."""
    for run in _BLANK_RUN.finditer(text):
        if run.end() - run.start() > _LONGEST_BLANK:
            raise TokenizerError(
                f"the text has {run.end() - run.start():,} blanks in a row; "
                f"at most {_LONGEST_BLANK:,} can be tokenized"
            )
