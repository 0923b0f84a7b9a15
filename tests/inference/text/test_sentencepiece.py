"""SentencePiece vocabularies beside merging written out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import TokenizerError
from inference.formats import open_model
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    TokenizerSpec,
)
from inference.text.sentencepiece import SentencePieceBpe
from inference.text.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizer"

SPECIAL = {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL, "<tool>": USER_DEFINED}
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# From the best score to the worst.
RANKED = ["▁a", "ab", "▁ab", "bc", "abc", "cc", "▁▁", "▁", "a", "b", "c", "é", "日"]
SPEC = TokenizerSpec(
    model="llama",
    pre="default",
    tokens=[*SPECIAL, *BYTES, *RANKED],
    scores=[0.0] * 260 + [float(-rank) for rank in range(len(RANKED))],
    token_types=[*SPECIAL.values(), *[BYTE] * 256, *[NORMAL] * len(RANKED)],
    unk_id=0,
    bos_id=1,
    eos_id=2,
)
ID = {token: place for place, token in enumerate(SPEC.tokens)}


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return Tokenizer.from_spec(SPEC)


def ids(*tokens: str) -> list[int]:
    return [ID[token] for token in tokens]


def merged_by_hand(text: str) -> list[int]:
    """Join the pair of the best score, leftmost first, until no pair is a token."""
    parts = list(text.replace(" ", "▁"))
    while True:
        scored = [
            (-SPEC.scores[ID[left + right]], place)
            for place, (left, right) in enumerate(pairwise(parts))
            if left + right in ID
        ]
        if not scored:
            break
        place = min(scored)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    found = []
    for part in parts:
        found += [ID[part]] if part in ID else [ID[f"<0x{byte:02X}>"] for byte in part.encode()]
    return found


@given(text=st.text(alphabet="abc éü日本\n", max_size=40))
def test_ids_are_those_of_merging_by_hand(text: str) -> None:
    tokenizer = _shared()
    found = tokenizer.encode(text)
    assert found == merged_by_hand(text)
    assert tokenizer.decode(found) == text


_MADE: list[Tokenizer] = []


def _shared() -> Tokenizer:
    if not _MADE:
        _MADE.append(Tokenizer.from_spec(SPEC))
    return _MADE[0]


def test_the_best_score_wins_and_not_the_longest_token(small: Tokenizer) -> None:
    assert small.encode("abc") == ids("abc")
    reranked = replace(SPEC, scores=[0.0] * 260 + [float(rank) for rank in range(len(RANKED))])
    # Now "cc" beats "abc", which beats "bc".
    assert Tokenizer.from_spec(reranked).encode("bcc") == ids("b", "cc")
    assert small.encode("bcc") == ids("bc", "c")


def test_characters_without_a_token_fall_back_to_bytes(small: Tokenizer) -> None:
    assert small.encode("aü") == ids("a", "<0xC3>", "<0xBC>")
    stream = small.stream()
    assert [stream.push(token) for token in small.encode("ü日")] == ["", "ü", "日"]
    assert small.token_bytes(ID["<0xC3>"]) == b"\xc3"


def test_without_bytes_the_unknown_token_stands_in() -> None:
    tokens = [token for token in SPEC.tokens if token not in BYTES]
    bare = replace(
        SPEC,
        tokens=tokens,
        scores=[SPEC.scores[ID[token]] for token in tokens],
        token_types=[SPEC.token_types[ID[token]] for token in tokens],
    )
    found = Tokenizer.from_spec(bare).encode("aüb")
    assert found == [tokens.index("a"), tokens.index("<unk>"), tokens.index("b")]
    with pytest.raises(TokenizerError, match="some characters have no id"):
        Tokenizer.from_spec(replace(bare, unk_id=None))


def test_a_space_prefix_stands_where_text_begins_and_after_special_tokens() -> None:
    tokenizer = Tokenizer.from_spec(replace(SPEC, add_space_prefix=True, add_bos=True))
    assert tokenizer.encode("ab") == ids("<s>", "▁ab")
    assert tokenizer.encode("ab</s>ab") == ids("<s>", "▁ab", "</s>", "▁ab")
    assert tokenizer.encode("ab<tool>ab", parse_special=False) == ids("<s>", "▁ab", "<tool>", "▁ab")
    assert tokenizer.decode(tokenizer.encode("ab"), skip_special=True) == "ab"
    assert tokenizer.decode(tokenizer.encode(" ab", add_special=False)) == " ab"
    # What continues a text keeps its space.
    stream = tokenizer.stream()
    assert stream.push(ID["▁ab"]) == " ab"


def test_text_of_a_control_token_is_text_unless_asked_for(small: Tokenizer) -> None:
    assert small.encode("a</s>") == ids("a", "</s>")
    plain = small.encode("a</s>", parse_special=False)
    assert ID["</s>"] not in plain
    assert small.decode(plain) == "a</s>"
    assert small.decode(ids("<s>", "ab", "<tool>"), skip_special=True) == "ab<tool>"


def test_merges_of_the_file_come_before_its_scores() -> None:
    tokenizer = Tokenizer.from_spec(replace(SPEC, merges=["b c"], scores=[]))
    assert tokenizer.encode("abc") == ids("a", "bc")


def test_unused_tokens_are_silent() -> None:
    types = [*SPEC.token_types]
    types[ID["ab"]] = UNUSED
    assert Tokenizer.from_spec(replace(SPEC, token_types=types)).token_bytes(ID["ab"]) == b""


def test_types_may_be_missing() -> None:
    tokenizer = Tokenizer.from_spec(replace(SPEC, token_types=[]))
    assert tokenizer.token_bytes(ID["▁ab"]) == b" ab"


@pytest.mark.parametrize("text", ["a" * 10**5, " " * 10**5, "ab c" * 10**5])
def test_long_text_needs_no_place_to_cut(small: Tokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": []}, "needs scores or merges"),
        ({"merges": ["ab"]}, "merge 'ab' is not two tokens"),
        ({"merges": ["a z"]}, "vocabulary and its merges disagree"),
        ({"token_types": [BYTE, *SPEC.token_types[1:]]}, "byte token 0 is '<unk>', not <0xNN>"),
    ],
)
def test_unusable_vocabularies_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_spec(replace(SPEC, **change))


def test_a_hugging_face_tokenizer_gives_its_own_ids(tmp_path: Path) -> None:
    golden = json.loads((GOLDEN / "tiny-gemma3.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(golden["config"]), encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(json.dumps(golden["tokenizer"]), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(golden["tokenizer_config"]), encoding="utf-8"
    )
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with open_model(tmp_path) as file:
        tokenizer = Tokenizer.from_spec(tokenizer_spec(file))
    assert len(golden["strings"]) == 72
    for string in golden["strings"]:
        assert tokenizer.encode(string["text"], add_special=False) == string["ids"]
        assert tokenizer.encode(string["text"]) == string["ids_add_special"]
        assert tokenizer.decode(string["ids"]) == string["decode"]
        assert tokenizer.decode(string["ids"], skip_special=True) == string["decode_skip_special"]


def test_of_equal_scores_the_leftmost_pair_merges() -> None:
    """The library would prefer the token with the lower id wherever it stands."""
    tokens = ["<unk>", "a", "b", "c", "bc", "ab", "x"]
    scores = [0.0, -9.0, -9.0, -9.0, -1.0, -1.0, -9.0]
    spec = TokenizerSpec("llama", "default", tokens, scores=scores, unk_id=0)
    bpe = SentencePieceBpe(spec)
    assert [*bpe.encode("abc", after_special=False)] == [[5, 3]]
    assert [*bpe.encode("xbca", after_special=False)] == [[6, 4, 1]]
    assert [*bpe.encode("abcé", after_special=False)] == [[5, 3, 0]]
