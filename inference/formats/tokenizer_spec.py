"""What a model file says about its tokenizer, in one shape for every format.

Each format's folder has a reader that makes it; ``formats.tokenizer`` chooses the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from inference.errors import TokenizerError
from inference.formats.base import ModelFile

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Token types, numbered as in GGUF."""

LLAMA3_RULES = frozenset({"llama-bpe", "llama3", "llama-v3"})
"""Names of Llama 3's pre-tokenizer: a word that is a token is not merged up, a text begins with
BOS unless the file says otherwise."""

UNKNOWN_PRE = "unknown"
"""``pre`` of a tokenizer.json whose pre-tokenizer llama.cpp has no name for."""


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """Vocabulary and rules of a tokenizer.

    ``model`` is ``gpt2`` (byte-level BPE) or ``llama`` (SentencePiece); ``pre`` is llama.cpp's name
    of the pre-tokenizer. ``token_types`` has GGUF's numbers. Each of ``merges`` is two tokens with
    a space between. ``add_space_prefix`` puts a space before a text that begins the input or
    follows a special token; ``nfc`` puts text into Unicode's normal form C first (llama.cpp has no
    such rule, and GGUF no key for it: this project's own is used). ``end_ids`` end a generation
    beside ``eos_id``, ``suppressed_ids`` are never generated. ``special_texts`` are what a chat
    template may name beside BOS and EOS (``pad_token``). ``tokenizer_json`` is set when the model
    came with Hugging Face's own file; ``unexpressed`` names the parts of that file that the other
    fields cannot say, so that only the file itself makes the right ids.
    """

    model: str
    pre: str
    tokens: list[str] = field(repr=False)
    scores: list[float] = field(default_factory=list, repr=False)
    token_types: list[int] = field(default_factory=list, repr=False)
    merges: list[str] = field(default_factory=list, repr=False)
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    pad_id: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = False
    nfc: bool = False
    chat_template: str | None = field(default=None, repr=False)
    end_ids: list[int] = field(default_factory=list)
    suppressed_ids: list[int] = field(default_factory=list, repr=False)
    special_texts: dict[str, str] = field(default_factory=dict)
    tokenizer_json: Path | None = None
    unexpressed: tuple[str, ...] = ()


_DEFAULTS: Mapping[str, Any] = {"pre": "default"}
_TYPES: Mapping[str, type] = {
    "model": str,
    "pre": str,
    "bos_id": int,
    "eos_id": int,
    "unk_id": int,
    "pad_id": int,
    "add_bos": bool,
    "add_eos": bool,
    "add_space_prefix": bool,
    "nfc": bool,
    "chat_template": str,
    "special_texts": dict,
}
LISTS: Mapping[str, type] = {
    "tokens": str,
    "scores": float,
    "token_types": int,
    "merges": str,
    "end_ids": int,
    "suppressed_ids": int,
}
"""The lists and what their elements are."""

OF_THE_FILE = ("tokenizer_json", "unexpressed")
"""Fields about Hugging Face's own file, which no other file states."""

FIELDS = tuple(field.name for field in fields(TokenizerSpec) if field.name not in OF_THE_FILE)
"""What a file may state."""


def spec_of(found: Mapping[str, Any], file: ModelFile, names: Mapping[str, str]) -> TokenizerSpec:
    """Return the specification whose fields a file states; ``names`` are its words for them.

    ``TokenizerError`` for what is missing or of the wrong type.
    """
    for name in ("model", "tokens"):
        if name not in found:
            raise TokenizerError(f"{file.path}: the file carries no tokenizer: no {names[name]!r}")
    for name, value in found.items():
        good = _is_list_of(value, LISTS[name]) if name in LISTS else type(value) is _TYPES[name]
        if not good:
            raise TokenizerError(f"{file.path}: {names[name]!r} has the wrong type")
    return TokenizerSpec(**{**_DEFAULTS, **found})


def _is_list_of(value: Any, kind: type) -> bool:
    kinds: set[type] = {kind, int} if kind is float else {kind}
    return isinstance(value, list) and set(map(type, value)) <= kinds
