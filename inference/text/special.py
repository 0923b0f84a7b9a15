"""Tokens that are not made by merging: control tokens, user-defined ones, ends of generation.

Matching follows llama.cpp: the longest special text first, over the whole input, and control
tokens only when the caller asks for them; user-defined tokens always.
"""

from __future__ import annotations

from collections.abc import Iterator

from inference.formats.tokenizer_spec import CONTROL, UNKNOWN, USER_DEFINED, TokenizerSpec

_END_TEXTS = frozenset(
    {
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|flush|>",
        "<|calls|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "</s>",
        "<|eom_id|>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "[EOS]",
        "<|end_of_text|>",
        "<end_of_utterance>",
        "<eos>",
    }
)
# A model that pads a hole or starts another file has finished answering.
_CODE_END_TEXTS = frozenset(
    {
        "<|fim_pad|>",
        "<fim-pad>",
        "<fim_pad>",
        "<PAD>",
        "[PAD]",
        "<|fim_repo|>",
        "<|repo_name|>",
        "<fim-repo>",
        "<REPO>",
        "<reponame>",
        "<|file_sep|>",
    }
)


def end_of_generation_ids(spec: TokenizerSpec) -> frozenset[int]:
    """Return the ids after which a model has nothing more to say.

    The end-of-sequence token of the file, and every token whose text is known to end a turn: files
    often name only one of several.
    """
    ends = set(_known_ends(spec))
    if spec.eos_id is not None:
        ends.add(spec.eos_id)
    return frozenset(ends)


def _known_ends(spec: TokenizerSpec) -> Iterator[int]:
    known = _END_TEXTS | _CODE_END_TEXTS
    return (token for token, text in enumerate(spec.tokens) if text in known)


class SpecialTokens:
    """The special tokens of one vocabulary, and how they cut a text."""

    def __init__(self, spec: TokenizerSpec, ends: frozenset[int]) -> None:
        types = dict(enumerate(spec.token_types))
        self.hidden = frozenset(
            token for token, kind in types.items() if kind in (CONTROL, UNKNOWN)
        )
        # A known end is a control token whatever the file calls it, as llama.cpp has it.
        self.hidden |= {t for t in ends if types.get(t) != USER_DEFINED} | {*_known_ends(spec)}
        self.user_defined = frozenset(
            token for token, kind in types.items() if kind == USER_DEFINED
        )
        texts = [(spec.tokens[token], token) for token in self.hidden | self.user_defined]
        # Equal lengths in id order, so that the outcome never depends on a set's order.
        self._longest_first = sorted(
            ((text, token) for text, token in texts if text), key=lambda t: (-len(t[0]), t[1])
        )

    @property
    def longest(self) -> int:
        """Bytes of the longest special text."""
        return max(
            (len(text.encode(errors="replace")) for text, _ in self._longest_first), default=0
        )

    def __contains__(self, token: object) -> bool:
        return token in self.hidden or token in self.user_defined

    def cut(self, text: str, *, parse_special: bool) -> Iterator[str | int]:
        """Yield the text's plain pieces and special ids in order."""
        fragments: list[str | int] = [text] if text else []
        for special, token in self._longest_first:
            if special not in text or (not parse_special and token in self.hidden):
                continue
            fragments = [
                part
                for fragment in fragments
                for part in (
                    [fragment] if isinstance(fragment, int) else _split(fragment, special, token)
                )
            ]
        yield from fragments


def _split(text: str, special: str, token: int) -> Iterator[str | int]:
    first, *rest = text.split(special)
    if first:
        yield first
    for piece in rest:
        yield token
        if piece:
            yield piece
