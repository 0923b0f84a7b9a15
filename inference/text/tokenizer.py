"""Text to ids with a model file's own vocabulary, id for id as llama.cpp does it, and back.

>>> tokenizer = Tokenizer.from_spec(tokenizer_spec(open_model("model.gguf")))
>>> tokenizer.decode(tokenizer.encode("What is 2+2?"))
'What is 2+2?'

Text is not normalized, unless it came with a tokenizer.json that asks for it: what differs in
bytes differs in ids. A tokenizer.json that says more than the other formats can is read by the
``tokenizers`` library as it is.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from inference.errors import ContextOverflowError, TokenizerError
from inference.formats.tokenizer_spec import TokenizerSpec
from inference.text.byte_level import ByteLevelBpe
from inference.text.library import LibraryTokenizer
from inference.text.pretokenizers import refuse_long_blanks
from inference.text.sentencepiece import SentencePieceBpe
from inference.text.special import SpecialTokens, end_of_generation_ids

_MILLION = 1_000_000
_KINDS: dict[str, type[ByteLevelBpe | SentencePieceBpe]] = {
    "gpt2": ByteLevelBpe,
    "llama": SentencePieceBpe,
}


class Tokenizer:
    """Encodes text to token ids and back. Immutable after construction, safe to share by threads.

    ``eog_ids`` are the ids that end a generation; ``chat_template`` is the file's Jinja source.
    """

    def __init__(self, spec: TokenizerSpec) -> None:
        self._library = _library(spec)
        if self._library is None and spec.model not in _KINDS:
            raise TokenizerError(
                f"tokenizer model {spec.model[:80]!r} is not implemented; "
                "gpt2 (byte-level BPE) and llama (SentencePiece) are"
            )
        self._tokens = spec.tokens
        self._bpe = None if self._library is not None else _KINDS[spec.model](spec)
        self.bos_id, self.eos_id = spec.bos_id, spec.eos_id
        self.unk_id, self.pad_id = spec.unk_id, spec.pad_id
        self.add_bos, self.add_eos = spec.add_bos, spec.add_eos
        self._space_prefix = spec.add_space_prefix
        self._nfc = spec.nfc
        self.chat_template = spec.chat_template
        self.eog_ids = end_of_generation_ids(spec)
        self.suppressed_ids = frozenset(spec.suppressed_ids)
        self.special_texts = dict(spec.special_texts)
        self._special = SpecialTokens(spec, self.eog_ids)
        if self._library is not None:
            return
        for wanted, token, name in (
            (spec.add_bos, spec.bos_id, "a beginning"),
            (spec.add_eos, spec.eos_id, "an end"),
        ):
            if wanted and token is None:
                raise TokenizerError(f"the file asks for {name}-of-text token but names none")

    @classmethod
    def from_spec(cls, spec: TokenizerSpec) -> Tokenizer:
        """Build the tokenizer that a model file describes.

        ``TokenizerError`` for a kind of vocabulary that is not implemented, or a broken one.
        """
        return cls(spec)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return len(self._tokens)

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Control and unknown tokens, and ends of generation: what ``skip_special`` leaves out."""
        return self._special.hidden

    def encode(
        self,
        text: str,
        *,
        add_special: bool = True,
        parse_special: bool = True,
        limit: int | None = None,
    ) -> list[int]:
        """Return the ids of a text.

        ``add_special`` adds BOS and EOS where the file asks for them. Without ``parse_special`` the
        text of a control token is plain text: use it for whatever a user typed. A text that has
        more than ``limit`` ids is refused as soon as that is certain, most of it unread.

        Raises:
            TokenizerError: lone surrogates, or over a million blanks in a row.
            ContextOverflowError: more than ``limit`` ids.
        """
        if limit is not None and len(text) > _MILLION and self._exceeds(text, limit):
            raise _too_long(text, limit)
        _check_unicode(text)
        if self._library is not None:
            return self._library_encode(text, add_special, parse_special, limit)
        assert self._bpe is not None
        ids: list[int] = []
        if add_special and self.add_bos and self.bos_id is not None:
            ids.append(self.bos_id)
        after_special = True
        for fragment in self._special.cut(text, parse_special=parse_special):
            if isinstance(fragment, int):
                ids.append(fragment)
            else:
                plain = self._normalized(fragment)
                for part in self._bpe.encode(plain, after_special=after_special):
                    ids += part
                    if limit is not None and len(ids) > limit:
                        raise _too_long(text, limit)
            after_special = isinstance(fragment, int)
        if add_special and self.add_eos and self.eos_id is not None:
            ids.append(self.eos_id)
        if limit is not None and len(ids) > limit:
            raise _too_long(text, limit)
        return ids

    def _library_encode(
        self, text: str, add_special: bool, parse_special: bool, limit: int | None
    ) -> list[int]:
        assert self._library is not None
        refuse_long_blanks(text)
        ids = self._library.encode(text, add_special=add_special, parse_special=parse_special)
        if limit is not None and len(ids) > limit:
            raise _too_long(text, limit)
        return ids

    def _normalized(self, text: str) -> str:
        if not self._nfc:
            return text
        from tokenizers import normalizers  # with its tables: Python's follow another Unicode

        normalized: str = normalizers.NFC().normalize_str(text)
        return normalized

    def _exceeds(self, text: str, limit: int) -> bool:
        """Tell whether even ids that stand for as much text as any do would be too many."""
        if self._bpe is None:
            return False
        longest = self._bpe.longest
        return longest is not None and len(text) > limit * max(longest, self._special.longest)

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Return the text of the ids; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids, skip_special=skip_special).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int], *, skip_special: bool = False) -> bytes:
        """Return the bytes of the ids as one text; ``skip_special`` leaves control tokens out.

        The space that `encode` put in front, where the file asks for one, is taken away again.
        """
        hidden = self._special.hidden if skip_special else frozenset()
        shown = [i for i in ids if i not in hidden]
        whole = b"".join(map(self.token_bytes, shown))
        prefixed = self._space_prefix and bool(shown) and shown[0] not in self._special
        return whole.removeprefix(b" ") if prefixed else whole

    def token_bytes(self, token: int) -> bytes:
        """Return the exact bytes that one id stands for.

        ``TokenizerError`` for an id outside the vocabulary.
        """
        if not 0 <= token < len(self._tokens):
            raise TokenizerError(f"token id {token} is outside 0..{len(self._tokens) - 1}")
        if token in self._special:
            return self._tokens[token].encode("utf-8", errors="surrogatepass")
        ordinary = self._library or self._bpe
        assert ordinary is not None
        return ordinary.token_bytes(token)

    def token_text(self, token: int | None) -> str | None:
        """Return the text of one id as templates want it; None stays None."""
        return None if token is None else self.decode([token])

    def stream(self, *, skip_special: bool = True) -> StreamDecoder:
        """Return a decoder for ids that continue a text one at a time, byte for byte."""
        return StreamDecoder(self, skip_special=skip_special)


class StreamDecoder:
    """Turns ids into text as they come, holding back the bytes of an unfinished character."""

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._hidden = tokenizer.hidden_ids if skip_special else frozenset()
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Return the text that this id completes, perhaps none."""
        return self._utf8.decode(b"" if token in self._hidden else self._token_bytes(token))

    def finish(self) -> str:
        """Return what was held back: U+FFFD when the last character never became whole."""
        return self._utf8.decode(b"", final=True)


def _library(spec: TokenizerSpec) -> LibraryTokenizer | None:
    if spec.tokenizer_json is None or not spec.unexpressed:
        return None
    return LibraryTokenizer(spec, spec.tokenizer_json)


def _too_long(text: str, limit: int) -> ContextOverflowError:
    return ContextOverflowError(
        f"a text of {len(text):,} characters has more than {limit:,} tokens, "
        "which is all that fits the context; shorten it"
    )


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text is not valid Unicode: lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}"
        ) from None
