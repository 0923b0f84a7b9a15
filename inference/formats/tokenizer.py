"""The tokenizer that an open model file carries, whatever its format."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from inference.errors import ModelWarning, TokenizerError
from inference.formats.apr.tokenizer import read_apr_tokenizer
from inference.formats.base import ModelFile
from inference.formats.gguf.tokenizer import read_gguf_tokenizer
from inference.formats.hf.tokenizer import read_hf_tokenizer
from inference.formats.tokenizer_spec import TokenizerSpec

_READERS: Mapping[str, Callable[[ModelFile], TokenizerSpec]] = {
    "apr": read_apr_tokenizer,
    "gguf": read_gguf_tokenizer,
    "hf": read_hf_tokenizer,
}


def tokenizer_spec(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer that an open model file carries.

    ``TokenizerError`` when there is none or it contradicts itself.
    """
    spec = _READERS[file.format](file)
    embedding = file.tensors.get("token_embd.weight")
    rows = embedding.shape[0] if embedding is not None else None
    _check(spec, str(file.path), rows=rows)
    return _without_bad_padding(spec, str(file.path))


def _without_bad_padding(spec: TokenizerSpec, path: str) -> TokenizerSpec:
    """Leave out a padding token that is none of the vocabulary: nothing here needs it."""
    token, count = spec.pad_id, len(spec.tokens)
    if token is None or 0 <= token < count:
        return spec
    warnings.warn(
        f"{path}: padding token {token} is outside 0..{count - 1}; it is left out",
        ModelWarning,
        stacklevel=3,
    )
    return replace(spec, pad_id=None)


def _all_finite(scores: list[float]) -> bool:
    try:
        return bool(np.isfinite(np.array(scores, np.float64)).all())
    except OverflowError:  # an integer of JSON beyond float64
        return False


def _check(spec: TokenizerSpec, path: str, *, rows: int | None) -> None:
    count = len(spec.tokens)
    if not spec.unexpressed and spec.model not in ("gpt2", "llama"):
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
    if spec.model == "gpt2" and not spec.merges and not spec.unexpressed:
        raise TokenizerError(f"{path}: a byte-level BPE vocabulary needs merges; there are none")
    if spec.model == "llama" and not (spec.merges or spec.scores or spec.unexpressed):
        raise TokenizerError(f"{path}: a SentencePiece vocabulary needs scores; there are none")
    for what, token in (
        ("BOS", spec.bos_id),
        ("EOS", spec.eos_id),
        ("unknown", spec.unk_id),
    ):
        if token is not None and not 0 <= token < count:
            raise TokenizerError(f"{path}: {what} token {token} is outside 0..{count - 1}")
