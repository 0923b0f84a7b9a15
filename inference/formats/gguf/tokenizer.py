"""A tokenizer's vocabulary and rules out of GGUF metadata."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gguf.constants import GGUFValueType as Kind

from inference.formats.base import ModelFile
from inference.formats.tokenizer_spec import TokenizerSpec, spec_of

_ROWS: Mapping[str, tuple[str, tuple[Kind, ...]]] = {
    "model": ("tokenizer.ggml.model", (Kind.STRING,)),
    "pre": ("tokenizer.ggml.pre", (Kind.STRING,)),
    "tokens": ("tokenizer.ggml.tokens", (Kind.ARRAY, Kind.STRING)),
    "scores": ("tokenizer.ggml.scores", (Kind.ARRAY, Kind.FLOAT32)),
    "token_types": ("tokenizer.ggml.token_type", (Kind.ARRAY, Kind.INT32)),
    "merges": ("tokenizer.ggml.merges", (Kind.ARRAY, Kind.STRING)),
    "bos_id": ("tokenizer.ggml.bos_token_id", (Kind.UINT32,)),
    "eos_id": ("tokenizer.ggml.eos_token_id", (Kind.UINT32,)),
    "unk_id": ("tokenizer.ggml.unknown_token_id", (Kind.UINT32,)),
    "pad_id": ("tokenizer.ggml.padding_token_id", (Kind.UINT32,)),
    "add_bos": ("tokenizer.ggml.add_bos_token", (Kind.BOOL,)),
    "add_eos": ("tokenizer.ggml.add_eos_token", (Kind.BOOL,)),
    "add_space_prefix": ("tokenizer.ggml.add_space_prefix", (Kind.BOOL,)),
    "nfc": ("tokenizer.apr.nfc", (Kind.BOOL,)),
    "chat_template": ("tokenizer.chat_template", (Kind.STRING,)),
}
GGUF_KEYS: Mapping[str, str] = {field: key for field, (key, _) in _ROWS.items()}
"""Field of the specification -> its key."""

GGUF_TYPES: Mapping[str, tuple[Kind, ...]] = {field: types for field, (_, types) in _ROWS.items()}
"""Field of the specification -> the type that its value is written with."""


def read_gguf_tokenizer(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer of a GGUF file."""
    found = {name: file.metadata[key] for name, key in GGUF_KEYS.items() if key in file.metadata}
    found = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in found.items()
    }
    # SentencePiece vocabularies begin a text with BOS and a space unless the file says otherwise.
    for name in ("add_bos", "add_space_prefix"):
        found.setdefault(name, found.get("model") == "llama")
    return spec_of(found, file, GGUF_KEYS)
