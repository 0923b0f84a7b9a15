"""Tokenizers of real models, and one whose merges can be followed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.formats import open_model
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import (
    CONTROL,
    NORMAL,
    USER_DEFINED,
    TokenizerSpec,
)
from inference.hub.cache import cached
from inference.text.byte_level import CHARACTER_OF_BYTE
from inference.text.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizer"
MODELS = ("qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct", "gemma-3-270m")


@pytest.fixture(scope="session", params=MODELS)
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{request.param}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def real(golden: dict[str, Any]) -> Tokenizer:
    path = cached(golden["model"])
    if path is None:
        pytest.skip(f"needs a real vocabulary; run: apr pull {golden['model']}")
    file = open_model(path)
    try:
        return Tokenizer.from_spec(tokenizer_spec(file))
    finally:
        file.close()


BYTES = [CHARACTER_OF_BYTE[byte] for byte in range(256)]
MERGED = ["ab", "abc", "bc", "Ġa", "ĊĊ"]
SPECIAL = {"<|end|>": CONTROL, "<|begin|>": CONTROL, "<|end|>>": CONTROL, "<tool>": USER_DEFINED}


@pytest.fixture
def small_spec() -> TokenizerSpec:
    """256 bytes, five merges, four special tokens; ids 256.. in that order."""
    tokens = [*BYTES, *MERGED, *SPECIAL]
    types = [NORMAL] * (len(tokens) - len(SPECIAL)) + list(SPECIAL.values())
    return TokenizerSpec(
        model="gpt2",
        pre="qwen2",
        tokens=tokens,
        token_types=types,
        merges=["a b", "ab c", "b c", "Ġ a", "Ċ Ċ"],
        bos_id=tokens.index("<|begin|>"),
        eos_id=tokens.index("<|end|>"),
    )
