"""A tokenizer.json that says more than a specification is read by its own library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

import inference
from inference.errors import TokenizerError
from inference.formats import open_model
from inference.formats.tokenizer import tokenizer_spec
from inference.surgery.converting import convert_model
from inference.text import tokenizer as text

HARD = [
    "Hello world",
    "  two  spaces\tand a tab\n\n",
    "ﬁne ①② ÉCOLE école e\u0301cole",
    "<s>the <x> cat</s> sat <x>",
    "<x>tail x<x>x",
    " leading, trailing ",
    "日本語 🙂 naïve",
    "",
]
WORDS = ["the", "cat", "sat", "hello", "world", "two", "spaces", "x", "fine"]


def byte_level(**options: Any) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: number for number, token in enumerate([*alphabet, "th", "the", "Ġt"])}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "t")]
    made = Tokenizer(models.BPE(vocab, merges, **options))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def with_normalizer(normalizer: Any) -> Tokenizer:
    made = byte_level()
    made.normalizer = normalizer
    return made


def with_pre_tokenizer(pre: Any) -> Tokenizer:
    made = byte_level()
    made.pre_tokenizer = pre
    return made


def with_flag(**flags: bool) -> Tokenizer:
    made = byte_level()
    made.add_special_tokens([AddedToken("<x>", **flags)])
    return made


def with_template(single: str) -> Tokenizer:
    made = byte_level()
    made.add_special_tokens(["<s>", "</s>"])
    tokens = [("<s>", made.token_to_id("<s>")), ("</s>", made.token_to_id("</s>"))]
    made.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} $B:1", special_tokens=tokens
    )
    return made


def whitespace() -> Tokenizer:
    vocab = {"[UNK]": 0} | {word: number for number, word in enumerate(WORDS, 1)}
    made = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def word_piece() -> Tokenizer:
    pieces = ["[UNK]", *WORDS, "##s", "##at", "c", "w", "##orld"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def unigram() -> Tokenizer:
    pieces = [("<unk>", 0.0), ("▁", -2.0), ("▁the", -3.0), ("▁cat", -4.0)]
    pieces += [(letter, -5.0) for letter in "acehlost"]
    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


MADE: dict[str, Callable[[], Tokenizer]] = {
    "NFKC": lambda: with_normalizer(normalizers.NFKC()),
    "NFD": lambda: with_normalizer(
        normalizers.Sequence(
            [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
        )
    ),
    "Strip": lambda: with_normalizer(normalizers.Strip()),
    "Replace": lambda: with_normalizer(normalizers.Replace("cat", "the")),
    "add_prefix_space": lambda: with_pre_tokenizer(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "Punctuation": lambda: with_pre_tokenizer(
        pre_tokenizers.Sequence(
            [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    ),
    "ignore_merges": lambda: byte_level(ignore_merges=True),
    "rstrip": lambda: with_flag(rstrip=True),
    "lstrip": lambda: with_flag(lstrip=True),
    "single_word": lambda: with_flag(single_word=True),
    "adds <s>, </s>": lambda: with_template("<s> </s> $A"),
    "model WordLevel": whitespace,
    "model WordPiece": word_piece,
    "model Unigram": unigram,
}


@pytest.fixture
def directory(make_hf: Callable[..., Path]) -> Callable[[Tokenizer], Path]:
    """Return a function that gives a tiny model, large enough for it, another tokenizer."""

    def copy(made: Tokenizer) -> Path:
        import numpy as np

        rows = np.zeros((320, 64), np.float16)
        rows[:] = np.arange(320)[:, None] % 7 + 1
        tensors = {"model.embed_tokens.weight": rows, "lm_head.weight": rows}
        path = make_hf(changed={"vocab_size": 320}, tensors=tensors)
        made.save(str(path / "tokenizer.json"))
        (path / "tokenizer_config.json").write_text("{}")
        return path

    return copy


@pytest.mark.parametrize("name", MADE)
def test_ids_are_the_librarys(name: str, directory: Callable[[Tokenizer], Path]) -> None:
    made = MADE[name]()
    path = directory(made)
    with open_model(path) as file:
        spec = tokenizer_spec(file)
    assert any(name in part for part in spec.unexpressed), spec.unexpressed
    ours = text.Tokenizer.from_spec(spec)
    for hard in HARD:
        for special in (True, False):
            expected = made.encode(hard, add_special_tokens=special).ids
            assert ours.encode(hard, add_special=special) == expected, hard


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("format", ["gguf", "apr"])
def test_what_a_target_cannot_carry_is_refused_by_name(
    name: str, format: Any, directory: Callable[[Tokenizer], Path], tmp_path: Path
) -> None:
    target = tmp_path / "target"
    with pytest.raises(TokenizerError, match=r"cannot express its tokenizer\.json: ") as caught:
        convert_model(directory(MADE[name]()), target, format=format)
    assert name in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize(
    "made",
    [
        byte_level(),
        with_normalizer(normalizers.NFC()),
        with_flag(special=True, normalized=False),
    ],
)
def test_what_a_specification_says_needs_no_file(
    made: Tokenizer, directory: Callable[[Tokenizer], Path], tmp_path: Path
) -> None:
    path = directory(made)
    with open_model(path) as file:
        assert tokenizer_spec(file).unexpressed == ()
    convert_model(path, tmp_path / "x.gguf", format="gguf")
    with open_model(tmp_path / "x.gguf") as file:
        ours = text.Tokenizer.from_spec(tokenizer_spec(file))
    for hard in HARD:
        if hard:  # an empty text is nothing to both
            assert ours.encode(hard) == made.encode(hard).ids


def test_without_special_tokens_a_text_is_plain(directory: Callable[[Tokenizer], Path]) -> None:
    made = with_flag(rstrip=True)
    with inference.load(directory(made)) as model:
        special = made.token_to_id("<x>")
        assert special in model.tokenizer.encode("a <x> b")
        assert special not in model.tokenizer.encode("a <x> b", parse_special=False)


@pytest.mark.parametrize("name", MADE)
def test_a_stream_is_the_whole_text(name: str, directory: Callable[[Tokenizer], Path]) -> None:
    """Whatever the tokens' pieces are, one after the other they make what `decode` gives."""
    made = MADE[name]()
    with open_model(directory(made)) as file:
        ours = text.Tokenizer.from_spec(tokenizer_spec(file))
    ids = ours.encode("the cat sat", add_special=False)
    stream = ours.stream()
    assert "".join([*map(stream.push, ids), stream.finish()]).strip() == ours.decode(ids).strip()
    assert ours.decode(ids).strip() == made.decode(ids).strip()


def test_a_file_that_the_library_refuses(directory: Callable[[Tokenizer], Path]) -> None:
    path = directory(with_flag(rstrip=True))
    whole = json.loads((path / "tokenizer.json").read_text())
    whole["normalizer"] = {"type": "Unheard"}
    (path / "tokenizer.json").write_text(json.dumps(whole))
    with open_model(path) as file, pytest.raises(TokenizerError, match="library refuses it"):
        text.Tokenizer.from_spec(tokenizer_spec(file))
