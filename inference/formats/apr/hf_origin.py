"""What an APR file keeps of the Hugging Face directory it came from, for the way back.

config.json and tokenizer_config.json are kept whole. Of tokenizer.json the vocabulary and the
merges, which the APR metadata hold already, are left out; what cannot be put together again exactly
is not kept at all, and an export then makes the file anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.errors import ModelFileError
from inference.formats.base import ModelFile
from inference.formats.hf.files import CONFIG, OTHERS, TOKENIZER, read_hf_files
from inference.formats.tokenizer_spec import TokenizerSpec


def keep_hf(file: ModelFile, spec: TokenizerSpec) -> dict[str, Any]:
    """Return the ``hf`` section of APR metadata for an open directory."""
    files = read_hf_files(file)
    tokenizer = files.pop(TOKENIZER)
    section: dict[str, Any] = {"config": files.pop(CONFIG)}
    if files:
        section["files"] = files
    kept = _without_vocabulary(tokenizer)
    if kept is not None and _whole(kept, spec.tokens, spec.merges) == tokenizer:
        section["tokenizer"] = kept
    return section


def hf_origin(file: ModelFile) -> dict[str, dict[str, Any]] | None:
    """Return the JSON files that an APR file keeps, by name; ``None`` when it came from elsewhere.

    Files that could not be kept are missing. ``ModelFileError`` when the section is damaged.
    """
    section = file.metadata.get("hf")
    if section is None:
        return None
    try:
        found = {CONFIG: dict(section["config"])}
        found |= {name: dict(text) for name, text in section.get("files", {}).items()}
        if set(found) - {CONFIG, *OTHERS}:
            raise KeyError(f"unknown files {sorted(found)}")
        if "tokenizer" in section:
            stated = file.metadata["tokenizer"]
            found[TOKENIZER] = _whole(section["tokenizer"], stated["tokens"], stated["merges"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(file.path, f"the 'hf' metadata are damaged: {error!r}") from error
    return found


def _without_vocabulary(tokenizer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return tokenizer.json with the ids of its vocabulary in place of vocabulary and merges."""
    try:
        model = dict(tokenizer["model"])
        vocab, merges = model.pop("vocab"), model.pop("merges")
        ids = sorted(vocab.values())
        gaps = sorted(set(range(max(ids, default=-1) + 1)) - set(ids))
    except (LookupError, TypeError, AttributeError):
        return None
    return {
        "file": {**tokenizer, "model": model},
        "ids": {"count": len(ids), "gaps": gaps},
        "merges": "pairs" if merges and isinstance(merges[0], list) else "texts",
    }


def _whole(kept: Mapping[str, Any], tokens: list[str], merges: list[str]) -> dict[str, Any]:
    gaps = set(kept["ids"]["gaps"])
    end = kept["ids"]["count"] + len(gaps)
    if not 0 <= end <= len(tokens):
        raise ValueError(f"ids of {end} tokens, {len(tokens)} are there")
    ids = [number for number in range(end) if number not in gaps]
    texts = merges if kept["merges"] == "texts" else [merge.split(" ", 1) for merge in merges]
    model = {
        **kept["file"]["model"],
        "vocab": {tokens[number]: number for number in ids},
        "merges": texts,
    }
    return {**kept["file"], "model": model}
