"""Whether two descriptions say the same model: hyper-parameters and tokenizers."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from math import isclose
from pathlib import Path
from typing import Any

from inference.errors import TokenizerError, UnsupportedFormatError
from inference.formats.base import ModelFile
from inference.formats.tokenizer_spec import OF_THE_FILE, TokenizerSpec
from inference.model.config import ModelConfig
from inference.text.hard_texts import HARD_TEXTS

_DIALECT = {"rope_type", "norm_offset", "rope_scaling", "rope_divisors"}
"""Fields in which the same model differs between GGUF and Hugging Face."""


def differing_fields(one: ModelConfig, other: ModelConfig) -> list[str]:
    """Return the fields in which two configurations say different models.

    Numbers may differ by what float32 makes of them. How scaled frequencies are stated is a matter
    of the format; that they are scaled is not.
    """
    lost = [
        field.name
        for field in fields(one)
        if field.name not in _DIALECT
        and not _same(getattr(one, field.name), getattr(other, field.name))
    ]
    scaled = [bool(config.rope_scaling or config.rope_divisors) for config in (one, other)]
    return lost if scaled[0] == scaled[1] else [*lost, "rope_scaling"]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-6)
    if hasattr(one, "__dataclass_fields__") and type(one) is type(other):
        ours, theirs = asdict(one), asdict(other)
        return all(_same(value, theirs[name]) for name, value in ours.items())
    return bool(one == other)


def refuse_unexpressed(file: ModelFile, spec: TokenizerSpec, target: str) -> None:
    """Refuse a tokenizer.json with parts that ``target`` has no words for, before any work."""
    if spec.unexpressed:
        raise TokenizerError(
            f"{file.path}: {target} cannot express its tokenizer.json: "
            f"{'; '.join(spec.unexpressed)}"
        )


def check_tokenizer(path: Path, source: TokenizerSpec, written: TokenizerSpec) -> None:
    """Refuse a written tokenizer that makes other ids of a few texts than the source's.

    ``UnsupportedFormatError`` names the text. Equal specifications need no trial.
    """
    of_the_file = {name: getattr(TokenizerSpec("", "", []), name) for name in OF_THE_FILE}
    if replace(source, **of_the_file) == replace(written, **of_the_file):
        return
    from inference.text.tokenizer import Tokenizer

    if source.tokens != written.tokens:
        raise UnsupportedFormatError(path, "the target cannot express this model's vocabulary")
    ours, theirs = Tokenizer.from_spec(source), Tokenizer.from_spec(written)
    for text in (*HARD_TEXTS, source.chat_template or ""):
        if ours.encode(text) != theirs.encode(text):
            raise UnsupportedFormatError(
                path, f"the written tokenizer makes other ids of {text[:40]!r}"
            )
    if ours.eog_ids != theirs.eog_ids or ours.suppressed_ids != theirs.suppressed_ids:
        raise UnsupportedFormatError(
            path, "the target cannot express which tokens end a text or are never generated"
        )
    if source.chat_template != written.chat_template:
        raise UnsupportedFormatError(path, "the target cannot express this model's chat template")


def check_library_tokenizer(document: bytes, spec: TokenizerSpec) -> None:
    """Refuse a tokenizer.json that the ``tokenizers`` library reads otherwise than we do.

    ``TokenizerError`` names the text.
    """
    from tokenizers import Tokenizer as Library

    from inference.text.tokenizer import Tokenizer

    try:
        theirs = Library.from_str(document.decode())
    except Exception as error:  # the library raises its base class for every bad file
        raise TokenizerError(f"the tokenizer cannot be told to Hugging Face's: {error}") from error
    ours = Tokenizer.from_spec(spec)
    for text in HARD_TEXTS:
        if theirs.encode(text).ids != ours.encode(text):
            raise TokenizerError(f"the tokenizer.json made for it makes other ids of {text!r}")
