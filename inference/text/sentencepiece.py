"""SentencePiece vocabularies: BPE over characters, ranked by score, with bytes to fall back on.

Spaces are the character U+2581 in the vocabulary. Any two neighbours whose concatenation is a token
may merge, the best score first (Kudo & Richardson 2018, and llama.cpp's reading of it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import BYTE, UNUSED, TokenizerSpec
from inference.text.leftmost import merge_leftmost
from inference.text.merges import pairs
from inference.text.pretokenizers import cut

if TYPE_CHECKING:
    import tokenizers

SPACE = "▁"
_BEFORE_SPACE = re.compile(f"[^{SPACE}](?={SPACE})")
_MOST_TIED = 1000
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
BYTE_OF_TOKEN = {token: bytes([byte]) for byte, token in enumerate(BYTE_TOKENS)}


class SentencePieceBpe:
    """Encodes text between special tokens, and knows the bytes of each ordinary token."""

    def __init__(self, spec: TokenizerSpec) -> None:
        self._spec = spec
        self._bpe = _build(spec)

    def encode(self, text: str, *, after_special: bool) -> Iterator[list[int]]:
        """Yield the ids of a text, part by part.

        Where the file asks, a text after a special token gets a space.
        """
        if after_special and self._spec.add_space_prefix:
            text = f" {text}"
        for part in cut(text.replace(" ", SPACE), self._boundary):
            if self._tied is not None and self._tied.search(part):
                yield self._leftmost(part)
            else:
                yield self._bpe.encode(part, add_special_tokens=False).ids

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {text: token for token, text in enumerate(self._spec.tokens)}

    @cached_property
    def _tied(self) -> re.Pattern[str] | None:
        """The tokens that share their score with another, so that the place in a text decides.

        A pattern that finds them, or anything where there are too many to look for.
        """
        if self._spec.merges:
            return None
        of_score: dict[float, list[str]] = {}
        for text, score in zip(self._spec.tokens, self._spec.scores, strict=True):
            if len(text) > 1:
                of_score.setdefault(score, []).append(text)
        tied: list[str] = []
        for texts in of_score.values():
            merged = [text for text in texts if self._can_merge(text)] if len(texts) > 1 else []
            tied += merged if len(merged) > 1 else []
        if len(tied) > _MOST_TIED:
            return re.compile("")
        return re.compile("|".join(map(re.escape, sorted(tied)))) if tied else None

    def _can_merge(self, text: str) -> bool:
        """Tell whether a token can be made of two others."""
        ids = self._ids
        return any(text[:i] in ids and text[i:] in ids for i in range(1, len(text)))

    def _leftmost(self, part: str) -> list[int]:
        ids: list[int] = []
        for piece in merge_leftmost(part, self._ids, self._spec.scores):
            if (token := self._ids.get(piece)) is not None:
                ids.append(token)
            else:
                ids += self._bpe.encode(piece, add_special_tokens=False).ids  # bytes, or unknown
        return ids

    @cached_property
    def _boundary(self) -> re.Pattern[str]:
        """The place before a space, after a character that no token has in front of a space.

        Nothing merges across it, so that the ids of both sides do not depend on each other.
        """
        if SPACE not in self._spec.tokens:
            return re.compile(r"(?!)")
        joined = {before for text in self._spec.tokens for before in _BEFORE_SPACE.findall(text)}
        return re.compile(f"(?<=[^{re.escape(SPACE + ''.join(sorted(joined)))}]){SPACE}")

    @cached_property
    def longest(self) -> int | None:
        """The most bytes of text that one id can stand for; None where unknown ones fuse."""
        tokens = frozenset(self._spec.tokens)
        if not tokens.issuperset(BYTE_TOKENS):
            return None
        return max(len(text.encode(errors="surrogatepass")) for text in tokens)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of an ordinary token."""
        text = self._spec.tokens[token]
        kind = self._spec.token_types[token] if self._spec.token_types else None
        if kind == UNUSED:
            return b""
        if kind == BYTE:
            return BYTE_OF_TOKEN[text]
        return text.replace(SPACE, " ").encode("utf-8", errors="surrogatepass")


def _build(spec: TokenizerSpec) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models

    vocabulary = {text: token for token, text in enumerate(spec.tokens)}
    for token, kind in enumerate(spec.token_types):
        if kind == BYTE and spec.tokens[token] not in BYTE_OF_TOKEN:
            raise TokenizerError(f"byte token {token} is {spec.tokens[token][:20]!r}, not <0xNN>")
    has_bytes = all(token in vocabulary for token in BYTE_TOKENS)
    if not has_bytes and spec.unk_id is None:
        raise TokenizerError(
            "the vocabulary has neither all 256 byte tokens nor an unknown token, "
            "so that some characters have no id"
        )
    merges = list(merges_of(spec))
    try:
        model = models.BPE(
            vocabulary,
            merges,
            byte_fallback=has_bytes,
            unk_token=None if spec.unk_id is None else spec.tokens[spec.unk_id],
            fuse_unk=True,
        )
    except Exception as error:  # the library raises its base class for every bad vocabulary
        raise TokenizerError(f"the vocabulary and its merges disagree: {error}") from error
    return Tokenizer(model)


def merges_of(spec: TokenizerSpec) -> Iterable[tuple[str, str]]:
    """Return the pairs that may merge, the best first: as listed, else by score."""
    if spec.merges:
        return pairs(spec.merges)
    return _merges_by_score(spec, {text: token for token, text in enumerate(spec.tokens)})


def _merges_by_score(spec: TokenizerSpec, vocabulary: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Yield every way to make a token from two, the tokens of the best score first."""
    if not spec.scores:
        raise TokenizerError("a SentencePiece vocabulary needs scores or merges; there are none")
    scores = spec.scores
    for token in sorted(range(len(scores)), key=lambda i: -scores[i]):
        text = spec.tokens[token]
        for place in range(1, len(text)):
            left, right = text[:place], text[place:]
            if left in vocabulary and right in vocabulary:
                yield left, right
