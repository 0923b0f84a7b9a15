"""A tokenizer's vocabulary and rules out of APR metadata."""

from __future__ import annotations

from inference.errors import TokenizerError
from inference.formats.base import ModelFile
from inference.formats.tokenizer_spec import FIELDS, TokenizerSpec, spec_of


def read_apr_tokenizer(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer of an APR file."""
    section = file.metadata.get("tokenizer")
    if not isinstance(section, dict):
        raise TokenizerError(f"{file.path}: the file carries no tokenizer; import the model again")
    section = {**section, "chat_template": file.metadata.get("chat_template")}
    names = {name: f"tokenizer.{name}" for name in FIELDS}
    found = {name: section[name] for name in FIELDS if section.get(name) is not None}
    return spec_of(found, file, names)
