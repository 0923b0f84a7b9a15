"""Byte-level BPE over a model file's own vocabulary, id for id as llama.cpp does it.

>>> tokenizer = Tokenizer.from_spec(tokenizer_spec(open_model("model.gguf")))
>>> tokenizer.decode(tokenizer.encode("What is 2+2?"))
'What is 2+2?'

Text is not normalized: what differs in bytes differs in ids.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import UNUSED, TokenizerSpec
from inference.text.byte_level import bytes_of
from inference.text.pretokenizers import PreTokenizer, chunks, pre_tokenizer
from inference.text.special import SpecialTokens, end_of_generation_ids

if TYPE_CHECKING:
    import tokenizers


class Tokenizer:
    """Encodes text to token ids and back. Immutable after construction, safe to share by threads.

    ``eog_ids`` are the ids that end a generation; ``chat_template`` is the file's Jinja source.
    """

    def __init__(self, spec: TokenizerSpec) -> None:
        if spec.model != "gpt2":
            raise TokenizerError(
                f"tokenizer model {spec.model[:80]!r} (SentencePiece) is not implemented; "
                "gpt2 (byte-level BPE) is"
            )
        self._tokens = spec.tokens
        self._unused = {i for i, kind in enumerate(spec.token_types) if kind == UNUSED}
        self._bpe = _byte_level_bpe(spec, pre_tokenizer(spec.pre))
        self.bos_id, self.eos_id = spec.bos_id, spec.eos_id
        self.unk_id, self.pad_id = spec.unk_id, spec.pad_id
        self.add_bos, self.add_eos = spec.add_bos, spec.add_eos
        self.chat_template = spec.chat_template
        self.eog_ids = end_of_generation_ids(spec)
        self._special = SpecialTokens(spec, self.eog_ids)
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

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        """Return the ids of a text.

        ``add_special`` adds BOS and EOS where the file asks for them. Without ``parse_special`` the
        text of a control token is plain text: use it for whatever a user typed.

        Raises:
            TokenizerError: lone surrogates, or over a million blanks in a row.
        """
        _check_unicode(text)
        ids: list[int] = []
        if add_special and self.add_bos and self.bos_id is not None:
            ids.append(self.bos_id)
        for fragment in self._special.cut(text, parse_special=parse_special):
            if isinstance(fragment, int):
                ids.append(fragment)
            else:
                for part in chunks(fragment):
                    ids += self._bpe.encode(part, add_special_tokens=False).ids
        if add_special and self.add_eos and self.eos_id is not None:
            ids.append(self.eos_id)
        return ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Return the text of the ids; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids, skip_special=skip_special).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int], *, skip_special: bool = False) -> bytes:
        """Return the exact bytes of the ids; ``skip_special`` leaves control tokens out."""
        hidden = self._special.hidden if skip_special else frozenset()
        return b"".join(self.token_bytes(i) for i in ids if i not in hidden)

    def token_bytes(self, token: int) -> bytes:
        """Return the exact bytes that one id stands for.

        ``TokenizerError`` for an id outside the vocabulary.
        """
        if not 0 <= token < len(self._tokens):
            raise TokenizerError(f"token id {token} is outside 0..{len(self._tokens) - 1}")
        if token in self._special:
            return self._tokens[token].encode("utf-8", errors="surrogatepass")
        return b"" if token in self._unused else bytes_of(self._tokens[token])

    def token_text(self, token: int | None) -> str | None:
        """Return the text of one id as templates want it; None stays None."""
        return None if token is None else self.decode([token])

    def stream(self, *, skip_special: bool = True) -> StreamDecoder:
        """Return a decoder for ids that arrive one at a time."""
        return StreamDecoder(self, skip_special=skip_special)


class StreamDecoder:
    """Turns ids into text as they come, holding back the bytes of an unfinished character."""

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Return the text that this id completes, perhaps none."""
        piece = self._tokenizer.decode_bytes([token], skip_special=self._skip_special)
        return self._utf8.decode(piece)

    def finish(self) -> str:
        """Return what was held back: U+FFFD when the last character never became whole."""
        return self._utf8.decode(b"", final=True)


def _byte_level_bpe(spec: TokenizerSpec, rule: PreTokenizer) -> tokenizers.Tokenizer:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    vocabulary = {text: token for token, text in enumerate(spec.tokens)}
    merges = [_pair(merge) for merge in spec.merges]
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


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    if not left or not right or " " in right:
        raise TokenizerError(f"merge {merge[:80]!r} is not two tokens with a space between")
    return left, right


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text is not valid Unicode: lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}"
        ) from None
