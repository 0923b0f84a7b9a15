"""What a model file says about its tokenizer, in one shape for every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inference.errors import TokenizerError
from inference.formats.base import ModelFile

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Token types, numbered as in GGUF."""


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


def tokenizer_spec(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer that an open model file carries.

    ``TokenizerError`` when there is none or it contradicts itself.
    """
    if file.format == "hf":
        from inference.formats.hf.tokenizer import read_hf_tokenizer

        spec = read_hf_tokenizer(file)
    elif file.format == "apr":
        spec = _from_section(file)
    else:
        spec = _from_gguf(file)
    embedding = file.tensors.get("token_embd.weight")
    _check(spec, str(file.path), rows=embedding.shape[0] if embedding is not None else None)
    return spec


# field: GGUF key
GGUF_KEYS: Mapping[str, str] = {
    "model": "tokenizer.ggml.model",
    "pre": "tokenizer.ggml.pre",
    "tokens": "tokenizer.ggml.tokens",
    "scores": "tokenizer.ggml.scores",
    "token_types": "tokenizer.ggml.token_type",
    "merges": "tokenizer.ggml.merges",
    "bos_id": "tokenizer.ggml.bos_token_id",
    "eos_id": "tokenizer.ggml.eos_token_id",
    "unk_id": "tokenizer.ggml.unknown_token_id",
    "pad_id": "tokenizer.ggml.padding_token_id",
    "add_bos": "tokenizer.ggml.add_bos_token",
    "add_eos": "tokenizer.ggml.add_eos_token",
    "add_space_prefix": "tokenizer.ggml.add_space_prefix",
    "nfc": "tokenizer.apr.nfc",
    "chat_template": "tokenizer.chat_template",
}
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


def _from_gguf(file: ModelFile) -> TokenizerSpec:
    found = {name: file.metadata[key] for name, key in GGUF_KEYS.items() if key in file.metadata}
    found = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in found.items()
    }
    # SentencePiece vocabularies begin a text with BOS and a space unless the file says otherwise.
    for name in ("add_bos", "add_space_prefix"):
        found.setdefault(name, found.get("model") == "llama")
    return _build(found, file, GGUF_KEYS)


def _from_section(file: ModelFile) -> TokenizerSpec:
    section = file.metadata.get("tokenizer")
    if not isinstance(section, dict):
        raise TokenizerError(f"{file.path}: the file carries no tokenizer; import the model again")
    section = {**section, "chat_template": file.metadata.get("chat_template")}
    names = {name: f"tokenizer.{name}" for name in GGUF_KEYS}
    found = {name: section[name] for name in GGUF_KEYS if section.get(name) is not None}
    return _build(found, file, names)


def _build(found: dict[str, Any], file: ModelFile, names: Mapping[str, str]) -> TokenizerSpec:
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


def _all_finite(scores: list[float]) -> bool:
    try:
        return bool(np.isfinite(np.array(scores, np.float64)).all())
    except OverflowError:  # an integer of JSON beyond float64
        return False


def _check(spec: TokenizerSpec, path: str, *, rows: int | None) -> None:
    count = len(spec.tokens)
    if spec.model not in ("gpt2", "llama"):
        raise TokenizerError(
            f"{path}: tokenizer model {spec.model[:80]!r} is not implemented; gpt2 and llama are"
        )
    if count == 0:
        raise TokenizerError(f"{path}: the vocabulary is empty")
    if rows is not None and count > rows:
        raise TokenizerError(f"{path}: {count:,} tokens, but the embedding has {rows:,} rows")
    if not _all_finite(spec.scores):
        raise TokenizerError(f"{path}: a token's score is not finite")
    lists: Iterable[tuple[str, list[Any]]] = (
        ("scores", spec.scores),
        ("token types", spec.token_types),
    )
    for what, values in lists:
        if values and len(values) != count:
            raise TokenizerError(f"{path}: {len(values):,} {what} for {count:,} tokens")
    if spec.model == "gpt2" and not spec.merges:
        raise TokenizerError(f"{path}: a byte-level BPE vocabulary needs merges; there are none")
    if spec.model == "llama" and not spec.merges and not spec.scores:
        raise TokenizerError(f"{path}: a SentencePiece vocabulary needs scores; there are none")
    for what, token in (
        ("BOS", spec.bos_id),
        ("EOS", spec.eos_id),
        ("unknown", spec.unk_id),
        ("padding", spec.pad_id),
    ):
        if token is not None and not 0 <= token < count:
            raise TokenizerError(f"{path}: {what} token {token} is outside 0..{count - 1}")
