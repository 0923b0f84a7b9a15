"""tokenizer.json and tokenizer_config.json for models that did not come from Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inference.errors import TokenizerError
from inference.formats.hf.tokenizer import pre_tokenizer_steps
from inference.formats.tokenizer_spec import (
    CONTROL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    TokenizerSpec,
)
from inference.text.pretokenizers import pre_tokenizer
from inference.text.sentencepiece import BYTE_TOKENS, SPACE, merges_of

_SPECIAL = {
    "bos_token": "bos_id",
    "eos_token": "eos_id",
    "unk_token": "unk_id",
    "pad_token": "pad_id",
}


def made_tokenizer(spec: TokenizerSpec) -> dict[str, Any]:
    """Return tokenizer.json with the vocabulary and the rules of a specification.

    Text is normalized only where the specification says so: the ids are those of the source.
    """
    types = spec.token_types or [0] * len(spec.tokens)
    added = [t for t, kind in enumerate(types) if kind in (CONTROL, UNKNOWN, USER_DEFINED)]
    vocab = {
        text: token
        for token, text in enumerate(spec.tokens)
        if not (types[token] == UNUSED and text == f"[PAD{token}]")
    }
    byte_level = spec.model == "gpt2"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(spec, token, special=types[token] != USER_DEFINED) for token in added
        ],
        **(_byte_level(spec) if byte_level else _sentencepiece(spec)),
        "post_processor": _post_processor(spec, byte_level=byte_level),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": _unknown(spec, types) if not byte_level else None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": not byte_level,
            "byte_fallback": not byte_level and set(BYTE_TOKENS) <= set(spec.tokens),
            "ignore_merges": byte_level and pre_tokenizer(spec.pre).ignore_merges,
            "vocab": vocab,
            "merges": list(_merges(spec, vocab)),
        },
    }


def made_tokenizer_config(spec: TokenizerSpec) -> dict[str, Any]:
    """Return tokenizer_config.json: special tokens, what is added to a text, chat template."""
    document: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": spec.add_bos,
        "add_eos_token": spec.add_eos,
    }
    for name, attribute in _SPECIAL.items():
        token = getattr(spec, attribute)
        document[name] = None if token is None else spec.tokens[token]
    if spec.chat_template is not None:
        document["chat_template"] = spec.chat_template
    return document


def _merges(spec: TokenizerSpec, vocab: dict[str, int]) -> Iterator[list[str]]:
    """Yield the pairs that can ever merge: placeholders never, nor spaces, which are escaped."""
    for left, right in merges_of(spec):
        whole = left + right
        if whole in vocab and " " not in whole:
            yield [left, right]


def _added(spec: TokenizerSpec, token: int, *, special: bool) -> dict[str, Any]:
    return {
        "id": token,
        "content": spec.tokens[token],
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }


def _unknown(spec: TokenizerSpec, types: list[int]) -> str | None:
    if spec.unk_id is not None:
        return spec.tokens[spec.unk_id]
    return spec.tokens[types.index(UNKNOWN)] if UNKNOWN in types else None


def _byte_level(spec: TokenizerSpec) -> dict[str, Any]:
    steps = pre_tokenizer_steps(spec.pre)
    if steps is None:
        raise TokenizerError(f"pre-tokenizer {spec.pre[:80]!r} cannot be told to Hugging Face's")
    return {
        "normalizer": _NFC if spec.nfc else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "decoder": {**_BYTE_LEVEL, "use_regex": True},
    }


_NFC = {"type": "NFC"}
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def _sentencepiece(spec: TokenizerSpec) -> dict[str, Any]:
    replace: dict[str, Any] = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    normalizers = [_NFC] if spec.nfc else []
    normalizers += [{"type": "Prepend", "prepend": SPACE}] if spec.add_space_prefix else []
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if spec.add_space_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*normalizers, replace]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
    }


def _post_processor(spec: TokenizerSpec, *, byte_level: bool) -> dict[str, Any] | None:
    first = [spec.bos_id] if spec.add_bos and spec.bos_id is not None else []
    last = [spec.eos_id] if spec.add_eos and spec.eos_id is not None else []
    if not first and not last:
        return {**_BYTE_LEVEL, "trim_offsets": False, "use_regex": True} if byte_level else None

    def template(name: str, kind: int) -> list[dict[str, Any]]:
        around = [
            {"SpecialToken": {"id": spec.tokens[t], "type_id": kind}} for t in (*first, *last)
        ]
        text: dict[str, Any] = {"Sequence": {"id": name, "type_id": kind}}
        return [*around[: len(first)], text, *around[len(first) :]]

    return {
        "type": "TemplateProcessing",
        "single": template("A", 0),
        "pair": [*template("A", 0), *template("B", 1)],
        "special_tokens": {
            spec.tokens[token]: {
                "id": spec.tokens[token],
                "ids": [token],
                "tokens": [spec.tokens[token]],
            }
            for token in {*first, *last}
        },
    }
