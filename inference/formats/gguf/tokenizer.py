"""A tokenizer's vocabulary and rules out of GGUF metadata."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gguf.constants import GGUFValueType as Kind

from inference.formats.base import ModelFile
from inference.formats.tokenizer_spec import LLAMA3_RULES, TokenizerSpec, spec_of

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
    "end_ids": ("tokenizer.apr.end_token_ids", (Kind.ARRAY, Kind.INT32)),
    "suppressed_ids": ("tokenizer.ggml.suppress_tokens", (Kind.ARRAY, Kind.INT32)),
}
GGUF_KEYS: Mapping[str, str] = {field: key for field, (key, _) in _ROWS.items()}
"""Field of the specification -> its key."""

GGUF_TYPES: Mapping[str, tuple[Kind, ...]] = {field: types for field, (_, types) in _ROWS.items()}
"""Field of the specification -> the type that its value is written with."""


END_KEYS = ("tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
"""Keys of one more end of generation each: of a turn, of a message."""

_SENTENCEPIECE_IDS = {"bos_id": 1, "eos_id": 2, "unk_id": 0}
"""llama.cpp's for a SentencePiece vocabulary whose file names none."""


def read_gguf_tokenizer(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer of a GGUF file."""
    found = {name: file.metadata[key] for name, key in GGUF_KEYS.items() if key in file.metadata}
    found = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in found.items()
    }
    # SentencePiece vocabularies begin a text with BOS and a space unless the file says otherwise,
    # and those with Llama 3's rule for words begin with BOS.
    sentencepiece = found.get("model") == "llama"
    begins_with_bos = found.get("pre") in LLAMA3_RULES and "bos_id" in found
    found.setdefault("add_bos", sentencepiece or begins_with_bos)
    found.setdefault("add_space_prefix", sentencepiece)
    count = len(found.get("tokens", ()))
    if sentencepiece:
        for name, token in _SENTENCEPIECE_IDS.items():
            if token < count:
                found.setdefault(name, token)
    if isinstance(banned := found.get("suppressed_ids"), list):
        found["suppressed_ids"] = [token for token in banned if 0 <= token < count]
    ends = [file.metadata[key] for key in END_KEYS if type(file.metadata.get(key)) is int]
    known = [token for token in ends if token < count]
    if known:
        found["end_ids"] = [*dict.fromkeys([*found.get("end_ids", ()), *known])]
    return spec_of(found, file, GGUF_KEYS)
