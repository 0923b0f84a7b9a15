"""The embedded model's tokenizer beside byte-pair merging written out by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from inference.data import TINY_MODEL
from inference.formats import open_model
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import TokenizerSpec
from inference.text.byte_level import CHARACTER_OF_BYTE
from inference.text.tokenizer import Tokenizer

# The Qwen2 rule, for ASCII: enough for the texts below and free of the library under test.
ASCII_WORDS = re.compile(
    r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\na-zA-Z0-9]?[a-zA-Z]+|[0-9]"
    r"| ?[^\sa-zA-Z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def spec() -> TokenizerSpec:
    file = open_model(TINY_MODEL)
    try:
        return tokenizer_spec(file)
    finally:
        file.close()


def merged_by_hand(spec: TokenizerSpec, text: str) -> Iterator[int]:
    """Yield ids by joining the pair of lowest rank, leftmost first, until none is left."""
    rank = {tuple(merge.split(" ")): place for place, merge in enumerate(spec.merges)}
    number = {token: place for place, token in enumerate(spec.tokens)}
    for word in ASCII_WORDS.findall(text):
        parts = [CHARACTER_OF_BYTE[byte] for byte in word.encode()]
        while True:
            ranked = [
                (rank[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in rank
            ]
            if not ranked:
                break
            place = min(ranked)[1]
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        yield from (number[part] for part in parts)


TEXTS = [
    "What is 2+2?",
    "The contract says: 'it's the value', and then 1234 more.\n\n\tEnd",
    "def f(x):\n    return x ** 2  # square\r\n\r\n",
    "    \n  spaces   everywhere   ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_merging_by_hand(spec: TokenizerSpec, text: str) -> None:
    tokenizer = Tokenizer.from_spec(spec)
    expected = list(merged_by_hand(spec, text))
    assert len(expected) < len(text)
    assert tokenizer.encode(text) == expected
    assert tokenizer.decode(expected) == text


def test_turns_are_single_tokens_and_end_generation(spec: TokenizerSpec) -> None:
    tokenizer = Tokenizer.from_spec(spec)
    end = spec.tokens.index("<|im_end|>")
    assert tokenizer.encode("<|im_end|>") == [end]
    assert tokenizer.encode("<|im_end|>", parse_special=False) != [end]
    assert end in tokenizer.eog_ids
    assert tokenizer.vocab_size == len(spec.tokens)
