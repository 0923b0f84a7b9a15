"""Byte-level BPE and its reversible byte alphabet (Radford et al. 2019).

Vocabularies store bytes as printable characters: 188 bytes stand for themselves as Latin-1, the
other 68 are moved to U+0100 and up, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import UNUSED, TokenizerSpec
from inference.text.merges import pairs
from inference.text.pretokenizers import PreTokenizer, chunks, pre_tokenizer

if TYPE_CHECKING:
    import tokenizers

_AS_THEMSELVES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_MOVED = [byte for byte in range(256) if byte not in set(_AS_THEMSELVES)]

CHARACTER_OF_BYTE: dict[int, str] = {byte: chr(byte) for byte in _AS_THEMSELVES} | {
    byte: chr(0x100 + place) for place, byte in enumerate(_MOVED)
}
_BYTE_OF_CHARACTER = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}


def bytes_of(token: str) -> bytes:
    """Return the bytes that a vocabulary entry stands for.

    An entry with characters outside the alphabet was written as plain text, and is taken so.
    """
    try:
        return bytes(map(_BYTE_OF_CHARACTER.__getitem__, token))
    except KeyError:
        return token.encode("utf-8", errors="surrogatepass")


class ByteLevelBpe:
    """Encodes text between special tokens, and knows the bytes of each ordinary token."""

    def __init__(self, spec: TokenizerSpec) -> None:
        self._tokens = spec.tokens
        self._unused = {i for i, kind in enumerate(spec.token_types) if kind == UNUSED}
        self._count = len(spec.tokens)
        vocabulary = {text: token for token, text in enumerate(spec.tokens)}
        # A byte without a token is left out, but what stands round it must not merge across it.
        missing = [character for character in _BYTE_OF_CHARACTER if character not in vocabulary]
        vocabulary |= {text: self._count + number for number, text in enumerate(missing)}
        self._has_gaps = bool(missing)
        self._bpe = _build(spec, vocabulary, pre_tokenizer(spec.pre))

    def encode(self, text: str, *, after_special: bool) -> Iterator[list[int]]:
        """Yield the ids of a text, part by part; where it stands makes no difference.

        ``TokenizerError`` for over a million blanks in a row.
        """
        for part in chunks(text):
            ids = self._bpe.encode(part, add_special_tokens=False).ids
            yield [token for token in ids if token < self._count] if self._has_gaps else ids

    @cached_property
    def longest(self) -> int | None:
        """The most bytes of text that one id can stand for."""
        return max(map(len, map(bytes_of, self._tokens)), default=0)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of an ordinary token."""
        return b"" if token in self._unused else bytes_of(self._tokens[token])


def _build(
    spec: TokenizerSpec, vocabulary: dict[str, int], rule: PreTokenizer
) -> tokenizers.Tokenizer:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    merges = [*dict.fromkeys(pairs(spec.merges))]  # of two equal merges the first counts
    try:
        model = models.BPE(vocabulary, merges, ignore_merges=rule.ignore_merges)
    except Exception as error:  # the library raises its base class for every bad vocabulary
        raise TokenizerError(f"the vocabulary and its merges disagree: {error}") from error
    bpe = Tokenizer(model)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in rule.patterns),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return bpe
