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

UNKNOWN_PRE = "unknown"
"""``pre`` of a tokenizer.json whose pre-tokenizer llama.cpp has no name for."""


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """Vocabulary and rules of a tokenizer.

    ``model`` is ``gpt2`` (byte-level BPE) or ``llama`` (SentencePiece); ``pre`` is llama.cpp's name
    of the pre-tokenizer. ``token_types`` has GGUF's numbers. Each of ``merges`` is two tokens with
    a space between. ``add_space_prefix`` puts a space before a text that begins the input or
    follows a special token; ``nfc`` puts text into Unicode's normal form C first (llama.cpp has no
    such rule, and GGUF no key for it: this project's own is used). ``tokenizer_json`` is set when
    the model came with Hugging Face's own file.
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
    tokenizer_json: Path | None = None


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
}
LISTS: Mapping[str, type] = {"tokens": str, "scores": float, "token_types": int, "merges": str}
"""The long fields and what their elements are."""

FIELDS = tuple(field.name for field in fields(TokenizerSpec) if field.name != "tokenizer_json")
"""What a file may state; ``tokenizer_json`` says where the file lies instead."""


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
