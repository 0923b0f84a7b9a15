"""SentencePiece vocabularies: BPE over characters, ranked by score, with bytes to fall back on.

Spaces are the character U+2581 in the vocabulary. Any two neighbours whose concatenation is a token
may merge, the best score first (Kudo & Richardson 2018, and llama.cpp's reading of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import BYTE, UNUSED, TokenizerSpec
from inference.text.merges import pairs

if TYPE_CHECKING:
    import tokenizers

SPACE = "▁"
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BYTE_OF_TOKEN = {token: bytes([byte]) for byte, token in enumerate(BYTE_TOKENS)}


class SentencePieceBpe:
    """Encodes text between special tokens, and knows the bytes of each ordinary token."""

    def __init__(self, spec: TokenizerSpec) -> None:
        self._spec = spec
        self._bpe = _build(spec)

    def encode(self, text: str, *, after_special: bool) -> list[int]:
        """Return the ids of a text; where the file asks, one after a special token gets a space."""
        if after_special and self._spec.add_space_prefix:
            text = f" {text}"
        escaped = text.replace(" ", SPACE)
        return self._bpe.encode(escaped, add_special_tokens=False).ids

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of an ordinary token."""
        text = self._spec.tokens[token]
        kind = self._spec.token_types[token] if self._spec.token_types else None
        if kind == UNUSED:
            return b""
        if kind == BYTE:
            return _BYTE_OF_TOKEN[text]
        return text.replace(SPACE, " ").encode("utf-8", errors="surrogatepass")


def _build(spec: TokenizerSpec) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models

    vocabulary = {text: token for token, text in enumerate(spec.tokens)}
    for token, kind in enumerate(spec.token_types):
        if kind == BYTE and spec.tokens[token] not in _BYTE_OF_TOKEN:
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
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in vocabulary and right in vocabulary:
                yield left, right
