"""Tokens that are not made by merging: control tokens, user-defined ones, ends of generation.

Matching follows llama.cpp: the longest special text first, over the whole input, and control
tokens only when the caller asks for them; user-defined tokens always.
"""

from __future__ import annotations

from collections.abc import Iterator

from inference.formats.tokenizer_spec import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    TokenizerSpec,
)

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
        "<turn|>",
        "<|tool_response>",
        "<｜end▁of▁sentence｜>",
        "[e~[",
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
_HOLE_TEXTS = frozenset(
    {
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<fim-prefix>",
        "<fim-suffix>",
        "<fim-middle>",
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
        "<｜fim▁begin｜>",
        "<｜fim▁hole｜>",
        "<｜fim▁end｜>",
        "<PRE>",
        "<SUF>",
        "<MID>",
        "▁<PRE>",
        "▁<SUF>",
        "▁<MID>",
        "<|code_prefix|>",
        "<|code_suffix|>",
        "<|code_middle|>",
        "<|prefix|>",
        "<|suffix|>",
        "<|middle|>",
    }
)
"""What stands round a hole that a model is to fill."""

_PRINTED_TEXTS = frozenset({"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
"""Control tokens of gpt-oss that are part of what it says."""

_NO_ENDS: tuple[tuple[frozenset[str], str, int], ...] = (
    (frozenset({"<|return|>", "<|call|>"}), "<|end|>", USER_DEFINED),
    (frozenset({"<|return|>", "<|calls|>"}), "<|end|>", USER_DEFINED),
    (frozenset({"<|flush|>", "<|call|>"}), "<|end|>", USER_DEFINED),
    (frozenset({"<|flush|>", "<|calls|>"}), "<|end|>", USER_DEFINED),
    (frozenset({"<|tool_response>"}), "</s>", NORMAL),
)
"""Vocabularies with all of these do not end where others do, even if the file says so; such a token
is of the type that stands last."""


def end_of_generation_ids(spec: TokenizerSpec) -> frozenset[int]:
    """Return the ids after which a model has nothing more to say.

    The ends that the file names, and every token whose text is known to end a turn: files often
    name only one of several. Exceptions are llama.cpp's (llama-vocab.cpp, version of
    llama-cpp-python 0.3.36).
    """
    ends = {token for token in (spec.eos_id, *spec.end_ids) if token is not None}
    return frozenset(ends | set(_known_ends(spec))) - _no_ends(spec, NORMAL, USER_DEFINED)


def _known_ends(spec: TokenizerSpec) -> Iterator[int]:
    return _with_text(spec, _END_TEXTS | _CODE_END_TEXTS)


def _no_ends(spec: TokenizerSpec, *kinds: int) -> frozenset[int]:
    there = frozenset(spec.tokens)
    texts = frozenset(text for others, text, kind in _NO_ENDS if others <= there and kind in kinds)
    return frozenset(_with_text(spec, texts))


def _with_text(spec: TokenizerSpec, texts: frozenset[str]) -> Iterator[int]:
    return (token for token, text in enumerate(spec.tokens) if text in texts)


class SpecialTokens:
    """The special tokens of one vocabulary, and how they cut a text."""

    def __init__(self, spec: TokenizerSpec, ends: frozenset[int]) -> None:
        types = dict(enumerate(spec.token_types))
        self.hidden = frozenset(
            token for token, kind in types.items() if kind in (CONTROL, UNKNOWN)
        )
        # A known text is a control token whatever the file calls it, as llama.cpp has it.
        named = {*_known_ends(spec), *_with_text(spec, _HOLE_TEXTS)}
        self.hidden |= {t for t in ends if types.get(t) != USER_DEFINED} | named
        printed = {*_no_ends(spec, USER_DEFINED), *_with_text(spec, _PRINTED_TEXTS)}
        plain = _no_ends(spec, NORMAL)
        self.hidden -= printed | plain
        marked = {token for token, kind in types.items() if kind == USER_DEFINED}
        self.user_defined = frozenset(marked | printed) - plain
        texts = [(spec.tokens[token], token) for token in self.hidden | self.user_defined]
        # By bytes; equal lengths in id order, so that the outcome never depends on a set's order.
        self._longest_first = sorted(
            ((text, token) for text, token in texts if text),
            key=lambda t: (-len(t[0].encode("utf-8", "surrogatepass")), t[1]),
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
