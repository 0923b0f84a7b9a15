from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ContextOverflowError, TokenizerError
from inference.formats import open_model
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import (
    CONTROL,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    TokenizerSpec,
)
from inference.model.architectures import ARCHITECTURES
from inference.surgery.importing import import_model
from inference.text import pretokenizers
from inference.text.byte_level import CHARACTER_OF_BYTE
from inference.text.tokenizer import Tokenizer

AB, ABC, BC, SPACE_A, NEWLINES, END, START, END_LONG, TOOL = range(256, 265)


@pytest.fixture
def small(small_spec: TokenizerSpec) -> Tokenizer:
    return Tokenizer.from_spec(small_spec)


def test_real_ids_are_those_of_llama_cpp(real: Tokenizer, golden: dict[str, Any]) -> None:
    strings = golden["strings"]
    assert len(strings) == 207
    for string in strings:
        text, plain = string["text"], string["plain"]
        prefix = golden.get("prefix", [])
        assert real.encode(text, parse_special=False, add_special=False) == plain, text
        assert real.encode(text) == prefix + string.get("special", plain), text


def test_real_ids_decode_to_the_bytes_of_llama_cpp(real: Tokenizer, golden: dict[str, Any]) -> None:
    for string in golden["strings"]:
        plain, special = string["plain"], string.get("special", string["plain"])
        whole = string["text"].encode()
        visible = bytes.fromhex(string["visible"]) if "visible" in string else whole
        assert real.decode_bytes(plain) == whole
        assert real.decode_bytes(special) == whole
        assert real.decode_bytes(special, skip_special=True) == visible
        stream = real.stream()
        pieces = [stream.push(token) for token in special]
        assert "".join([*pieces, stream.finish()]).encode() == visible


def test_real_pieces_and_ends_are_those_of_llama_cpp(
    real: Tokenizer, golden: dict[str, Any]
) -> None:
    assert golden["pieces"]
    for token, piece, visible in golden["pieces"]:
        assert real.token_bytes(token).hex() == piece
        assert real.decode_bytes([token], skip_special=True).hex() == visible
    assert sorted(real.eog_ids) == golden["eog_ids"]


@pytest.mark.parametrize("golden", ["qwen2.5-coder-0.5b-instruct"], indirect=True)
def test_the_prompt_of_the_parity_contracts(real: Tokenizer) -> None:
    assert real.vocab_size == 151_936
    assert real.encode("What is 2+2?") == [3838, 374, 220, 17, 10, 17, 30]


def test_long_text_is_tokenized_as_if_never_cut(real: Tokenizer) -> None:
    line = "def f(x):\n\treturn x ** 2  # it's 日本 — 100 %!!\r\n\n   \n"
    whole = (line * 3000).strip()
    by_lines = real.encode(line * 8, add_special=False)
    assert real.decode(real.encode(whole), skip_special=True) == whole
    # Eight lines are far below the length at which text is cut.
    assert real.encode(line * 8 * 400, add_special=False) == by_lines * 400


def test_merges_by_hand(small: Tokenizer) -> None:
    # "abc": a+b has the lowest rank, then ab+c. "xbc": only b+c. " a" keeps its space.
    assert small.encode("abc") == [ABC]
    assert small.encode("xbc") == [ord_of("x"), BC]
    assert small.encode("x a") == [ord_of("x"), SPACE_A]
    assert small.encode("abab") == [AB, AB]
    assert small.encode("!\n\n") == [ord_of("!"), NEWLINES]
    assert small.encode("") == []


def ord_of(character: str) -> int:
    return character.encode()[0]


def test_the_lowest_rank_wins_and_not_the_leftmost_pair(small_spec: TokenizerSpec) -> None:
    reranked = replace(small_spec, merges=["b c", "a b", "ab c", "Ġ a", "Ċ Ċ"])
    assert Tokenizer.from_spec(reranked).encode("abc") == [ord_of("a"), BC]


def test_control_tokens_need_parse_special_and_user_defined_do_not(small: Tokenizer) -> None:
    assert small.encode("a<|end|>b") == [ord_of("a"), END, ord_of("b")]
    plain = small.encode("a<|end|>b", parse_special=False)
    assert END not in plain
    assert small.decode(plain) == "a<|end|>b"
    assert small.encode("<tool>a", parse_special=False) == [TOOL, ord_of("a")]


def test_the_longest_special_token_wins(small: Tokenizer) -> None:
    assert small.encode("<|end|>>") == [END_LONG]
    assert small.encode("<|end|><|end|>>") == [END, END_LONG]


def test_skip_special_hides_control_and_keeps_user_defined(small: Tokenizer) -> None:
    ids = [START, ord_of("a"), TOOL, END]
    assert small.decode(ids) == "<|begin|>a<tool><|end|>"
    assert small.decode(ids, skip_special=True) == "a<tool>"


def test_bos_and_eos_are_added_where_the_file_asks(small_spec: TokenizerSpec) -> None:
    both = Tokenizer.from_spec(replace(small_spec, add_bos=True, add_eos=True))
    assert both.encode("a") == [START, ord_of("a"), END]
    assert both.encode("a", add_special=False) == [ord_of("a")]
    assert both.token_text(both.bos_id) == "<|begin|>"
    assert both.token_text(None) is None


def test_ends_of_generation_include_known_texts(small_spec: TokenizerSpec) -> None:
    assert Tokenizer.from_spec(replace(small_spec, eos_id=None)).eog_ids == {END}
    assert Tokenizer.from_spec(replace(small_spec, eos_id=TOOL)).eog_ids == {END, TOOL}


def test_known_ends_are_hidden_whatever_the_file_calls_them(small_spec: TokenizerSpec) -> None:
    types = [*small_spec.token_types]
    types[END] = USER_DEFINED
    tokenizer = Tokenizer.from_spec(replace(small_spec, token_types=types))
    assert tokenizer.encode("<|end|>") == [END]
    assert END not in tokenizer.encode("<|end|>", parse_special=False)
    assert tokenizer.decode([END, TOOL], skip_special=True) == "<tool>"


def test_unused_tokens_are_silent(small_spec: TokenizerSpec) -> None:
    types = [*small_spec.token_types]
    types[AB] = UNUSED
    assert Tokenizer.from_spec(replace(small_spec, token_types=types)).token_bytes(AB) == b""


def test_a_token_outside_the_byte_alphabet_is_plain_text(small_spec: TokenizerSpec) -> None:
    extended = replace(
        small_spec,
        tokens=[*small_spec.tokens, "日本"],
        token_types=[*small_spec.token_types, 1],
    )
    assert Tokenizer.from_spec(extended).token_bytes(len(small_spec.tokens)) == "日本".encode()


@given(text=st.text())
def test_any_text_survives_the_round_trip(text: str) -> None:
    tokenizer = _shared()
    for parse_special in (True, False):
        ids = tokenizer.encode(text, parse_special=parse_special)
        assert tokenizer.decode_bytes(ids) == text.encode()


@given(ids=st.lists(st.integers(0, 264)))
def test_streaming_equals_decoding_at_once(ids: list[int]) -> None:
    tokenizer = _shared()
    stream = tokenizer.stream(skip_special=False)
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) + stream.finish() == tokenizer.decode(ids)


_MADE: list[Tokenizer] = []


def _shared() -> Tokenizer:
    if not _MADE:
        from inference.text.byte_level import CHARACTER_OF_BYTE

        tokens = [CHARACTER_OF_BYTE[byte] for byte in range(256)]
        tokens += ["ab", "abc", "bc", "Ġa", "ĊĊ", "<|end|>", "<|begin|>", "<|end|>>", "<tool>"]
        types = [1] * 261 + [3, 3, 3, 4]
        merges = ["a b", "ab c", "b c", "Ġ a", "Ċ Ċ"]
        _MADE.append(Tokenizer.from_spec(TokenizerSpec("gpt2", "qwen2", tokens, [], types, merges)))
    return _MADE[0]


def test_streaming_holds_back_an_unfinished_character(small: Tokenizer) -> None:
    stream = small.stream()
    assert [stream.push(byte) for byte in "é".encode()] == ["", "é"]
    assert stream.push(0xE6) == ""
    assert stream.finish() == "\ufffd"


def test_ids_may_be_numpy_integers(small: Tokenizer) -> None:
    assert small.decode(np.array([AB, ABC], dtype=np.int32)) == "ababc"


@pytest.mark.parametrize("token", [-1, 265, 10**12])
def test_ids_outside_the_vocabulary_are_refused(small: Tokenizer, token: int) -> None:
    with pytest.raises(TokenizerError, match=rf"token id {token} is outside 0\.\.264"):
        small.decode([token])


def test_lone_surrogates_are_refused(small: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"lone surrogate U\+D800 at character 2"):
        small.encode("ab\ud800")


@pytest.mark.untraced
@pytest.mark.parametrize("text", ["a" * 10**6, " " * 10**6, "\n" * 10**6 + "x", "!?" * 10**5])
def test_a_million_characters_without_a_place_to_cut(small: Tokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == text


def test_more_blanks_than_the_pattern_engine_bears_are_refused(small: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="blanks in a row"):
        small.encode("x" + " " * (1 << 21) + "y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "rwkv"}, "tokenizer model 'rwkv' is not implemented; gpt2 .* and llama"),
        ({"pre": "frobnicated"}, "'frobnicated' is not implemented; .*qwen2"),
        ({"merges": ["ab"]}, "merge 'ab' is not two tokens"),
        ({"merges": [" b"]}, "merge ' b' is not two tokens"),
        ({"merges": ["a "]}, "merge 'a ' is not two tokens"),
        ({"merges": ["a b c"]}, "merge 'a b c' is not two tokens"),
        ({"merges": ["a z", "az q"]}, "vocabulary and its merges disagree"),
        ({"add_bos": True, "bos_id": None}, "asks for a beginning-of-text token but names none"),
        ({"add_eos": True, "eos_id": None}, "asks for an end-of-text token but names none"),
    ],
)
def test_unusable_vocabularies_are_refused(
    small_spec: TokenizerSpec, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_spec(replace(small_spec, **change))


TINY = Path(__file__).parents[2] / "golden" / "tiny"


def tiny_tokenizer(path: Path) -> Tokenizer:
    with open_model(path) as file:
        return Tokenizer.from_spec(tokenizer_spec(file))


@pytest.mark.parametrize(
    "name", sorted(path.name.split(".")[0] for path in TINY.glob("*.strings.json"))
)
def test_hugging_face_tokenizers_give_their_own_ids(name: str) -> None:
    tokenizer = tiny_tokenizer(TINY / name)
    strings = json.loads((TINY / f"{name}.strings.json").read_text(encoding="utf-8"))
    assert len(strings) == 72
    for string in strings:
        assert tokenizer.encode(string["text"], add_special=False) == string["ids"]
        assert tokenizer.encode(string["text"]) == string["ids_add_special"]
        assert tokenizer.decode(string["ids"]) == string["decode"]
        assert tokenizer.decode(string["ids"], skip_special=True) == string["decode_skip_special"]


def test_text_is_normalized_where_the_file_asks(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    asks = tiny_tokenizer(TINY / "qwen2")
    assert asks.encode(decomposed) == asks.encode(composed)
    assert asks.decode(asks.encode(decomposed)) == composed
    says_nothing = tiny_tokenizer(TINY / "llama")
    assert says_nothing.encode(decomposed) != says_nothing.encode(composed)
    import_model(TINY / "qwen2", tmp_path / "qwen2.apr")
    assert tiny_tokenizer(tmp_path / "qwen2.apr").encode(decomposed) == asks.encode(composed)


# -- texts that are too long ------------------------------------------------------------------


def test_a_text_with_too_many_tokens_is_refused(small: Tokenizer) -> None:
    assert small.encode("abc" * 4, limit=4) == small.encode("abc" * 4)
    with pytest.raises(ContextOverflowError, match="15 characters has more than 4 tokens"):
        small.encode("abc" * 5, limit=4)
    with pytest.raises(ContextOverflowError):
        small.encode("<|end|>" * 5, limit=4)


@pytest.mark.parametrize("text", ["abc " * 2_500_000, "a" * 10**7, " " * 10**7, "é" * 10**7])
def test_ten_megabytes_are_refused_most_of_it_unread(
    small: Tokenizer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    encode = small._bpe.encode

    def counted(part: str, *, after_special: bool) -> Any:
        for ids in encode(part, after_special=after_special):
            read.append(len(ids))
            yield ids

    monkeypatch.setattr(small._bpe, "encode", counted)
    with pytest.raises(ContextOverflowError, match="10,000,000 characters has more than"):
        small.encode(text, limit=32768)
    assert sum(read) <= 2 * 65536


@pytest.mark.parametrize("model", sorted(ARCHITECTURES))
@pytest.mark.parametrize("seed", range(3))
def test_parts_of_a_long_text_are_tokenized_as_if_never_cut(
    model: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tiny_tokenizer(TINY / model)
    choose = random.Random(seed)
    words = ["the", " quick", "  ", ">", " </", "\n", "日本", " é", "!? ", "x" * 9]
    text = "".join(choose.choice(words) for _ in range(400))
    whole = tokenizer.encode(text)
    for chunk in (1, 7, 50):
        monkeypatch.setattr(pretokenizers, "_CHUNK", chunk)
        assert tokenizer.encode(text) == whole


def with_special(small_spec: TokenizerSpec, *texts: str, kind: int = CONTROL) -> TokenizerSpec:
    """Add tokens of one kind behind the others."""
    return replace(
        small_spec,
        tokens=[*small_spec.tokens, *texts],
        token_types=[*small_spec.token_types, *[kind] * len(texts)],
    )


@pytest.mark.parametrize("text", ["<turn|>", "<｜end▁of▁sentence｜>", "<|tool_response>", "[e~["])
def test_ends_known_by_text(text: str, small_spec: TokenizerSpec) -> None:
    spec = with_special(small_spec, text, kind=NORMAL)
    token = len(small_spec.tokens)
    assert token in Tokenizer.from_spec(spec).eog_ids
    assert token in Tokenizer.from_spec(spec).hidden_ids


@pytest.mark.parametrize(
    ("others", "ends"),
    [
        (["<|return|>"], True),
        (["<|return|>", "<|call|>"], False),
        (["<|flush|>", "<|calls|>"], False),
        (["<|flush|>", "<|return|>"], True),
    ],
)
def test_an_end_that_is_none_beside_others(
    others: list[str], ends: bool, small_spec: TokenizerSpec
) -> None:
    """In gpt-oss <|end|> closes a message and is printed, whatever eos_token_id says."""
    tokenizer = Tokenizer.from_spec(with_special(small_spec, *others))
    assert (END in tokenizer.eog_ids) is ends
    assert (END in tokenizer.hidden_ids) is ends
    assert END in tokenizer.encode("a<|end|>")


def test_further_ends_of_the_file(small_spec: TokenizerSpec) -> None:
    assert Tokenizer.from_spec(replace(small_spec, end_ids=[TOOL])).eog_ids == {END, TOOL}


def test_marks_round_a_hole_are_control_tokens(small_spec: TokenizerSpec) -> None:
    spec = with_special(small_spec, "<|fim_prefix|>", "<|fim_middle|>", kind=NORMAL)
    tokenizer = Tokenizer.from_spec(spec)
    prefix = len(small_spec.tokens)
    assert tokenizer.encode("<|fim_prefix|>a") == [prefix, ord_of("a")]
    assert prefix not in tokenizer.encode("<|fim_prefix|>a", parse_special=False)
    assert tokenizer.decode([prefix, ord_of("a")], skip_special=True) == "a"


def test_special_texts_go_by_their_bytes(small_spec: TokenizerSpec) -> None:
    """Of two that overlap, six characters lose against five that take seven bytes."""
    spec = with_special(small_spec, "abcdef", "efééx", kind=USER_DEFINED)
    tokenizer = Tokenizer.from_spec(spec)
    first = len(small_spec.tokens)
    assert first + 1 in tokenizer.encode("abcdefééx")
    assert first in tokenizer.encode("abcdef")


def test_nothing_merges_across_a_byte_without_a_token(small_spec: TokenizerSpec) -> None:
    """llama.cpp leaves it out after merging; SmolLM2's vocabulary lacks 21 bytes."""
    gap = small_spec.tokens.index(CHARACTER_OF_BYTE[0x13])
    tokens = [*small_spec.tokens]
    tokens[gap] = "filler"
    tokenizer = Tokenizer.from_spec(replace(small_spec, tokens=tokens))
    a, b = ord_of("a"), ord_of("b")
    assert tokenizer.encode("ab") != [a, b]
    assert tokenizer.encode("a\x13b") == [a, b]
    assert tokenizer.encode("\x13") == []


def test_of_two_equal_merges_the_first_counts(small_spec: TokenizerSpec) -> None:
    once = Tokenizer.from_spec(small_spec)
    twice = Tokenizer.from_spec(replace(small_spec, merges=[*small_spec.merges, "a b"]))
    for text in ("abc", "xabcab", "bcab"):
        assert twice.encode(text) == once.encode(text)
