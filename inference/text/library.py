"""Tokenizers whose tokenizer.json says more than a specification can: the library reads them.

Every normalizer, pre-tokenizer, model, post-processor and flag of an added token works as the
``tokenizers`` library has it, which is what wrote the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import TokenizerError
from inference.formats.jsonfile import read_object
from inference.formats.tokenizer_spec import BYTE, UNUSED, TokenizerSpec
from inference.text.byte_level import bytes_of
from inference.text.sentencepiece import BYTE_OF_TOKEN, SPACE

if TYPE_CHECKING:
    import tokenizers


class LibraryTokenizer:
    """Whole texts to ids, special tokens included, by the library."""

    def __init__(self, spec: TokenizerSpec, path: Path) -> None:
        self._spec = spec
        self._path = path
        self._with_special = self._opened()

    def _opened(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
            tokenizer.no_truncation()
            tokenizer.no_padding()
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # the library's panics are no Exceptions
            raise TokenizerError(
                f"{self._path}: the tokenizers library refuses it: {error}"
            ) from error
        return tokenizer

    @cached_property
    def _without_special(self) -> tokenizers.Tokenizer:
        tokenizer = self._opened()
        tokenizer.encode_special_tokens = True
        return tokenizer

    @cached_property
    def _decoders(self) -> dict[str, Mapping[str, Any]]:
        return _decoders(read_object(self._path))

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return the ids of a text; ``TokenizerError`` where the library fails."""
        tokenizer = self._with_special if parse_special else self._without_special
        try:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=add_special).ids
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # the library's panics are no Exceptions
            raise TokenizerError(f"the text cannot be tokenized: {error}") from error
        return ids

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of an ordinary token."""
        text, kind = self._spec.tokens[token], self._spec.token_types[token]
        if kind == UNUSED:
            return b""
        if kind == BYTE:
            return BYTE_OF_TOKEN[text]
        if "ByteLevel" in self._decoders:
            return bytes_of(text)
        if not self._decoders:  # the library puts tokens apart then
            return f" {text}".encode("utf-8", errors="surrogatepass")
        if (step := self._decoders.get("WordPiece")) is not None:
            prefix = str(step.get("prefix", "##"))
            # What does not continue a word is written apart.
            text = text.removeprefix(prefix) if text.startswith(prefix) else f" {text}"
        if (step := self._decoders.get("BPEDecoder")) is not None:
            suffix = str(step.get("suffix", "</w>"))
            text = f"{text.removesuffix(suffix)} " if text.endswith(suffix) else text
        return text.replace(SPACE, " ").encode("utf-8", errors="surrogatepass")


def _decoders(whole: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the steps of the decoder by type."""
    decoder = whole.get("decoder")
    steps = [] if decoder is None else decoder.get("decoders") or [decoder]
    return {str(step.get("type")): step for step in steps}
