"""The JSON files of a Hugging Face directory beside its tensors."""

from __future__ import annotations

from typing import Any

from inference.formats.base import ModelFile
from inference.formats.jsonfile import read_object

CONFIG, TOKENIZER, SETTINGS = "config.json", "tokenizer.json", "tokenizer_config.json"
OTHERS = (SETTINGS, "generation_config.json", "special_tokens_map.json")
"""The files besides config.json and tokenizer.json that a conversion takes along."""


def read_hf_files(file: ModelFile) -> dict[str, dict[str, Any]]:
    """Return the files of an open directory that are there, by name."""
    names = (TOKENIZER, *OTHERS)
    found = {name: read_object(file.path / name) for name in names if (file.path / name).is_file()}
    return {CONFIG: dict(file.metadata), **found}
