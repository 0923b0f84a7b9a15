from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from inference.text import pretokenizers
from inference.text.pretokenizers import PRE_TOKENIZERS, chunks


def words(rule: str, text: str) -> list[str]:
    steps = [
        pre_tokenizers.Split(Regex(pattern), "isolated")
        for pattern in PRE_TOKENIZERS[rule].patterns
    ]
    return [word for word, _ in pre_tokenizers.Sequence(steps).pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gpt-2", ["It", "'s", " 1234", "  ", " x", "!!", "\n", "\n"]),
        ("llama-bpe", ["It", "'s", " ", "123", "4", "  ", " x", "!!\n\n"]),
        ("qwen2", ["It", "'s", " ", "1", "2", "3", "4", "  ", " x", "!!\n\n"]),
        ("smollm", ["It", "'s", " ", "1", "2", "3", "4", "  ", " x", "!!", "\n", "\n"]),
    ],
)
def test_words_by_hand(rule: str, expected: list[str]) -> None:
    # The last line is what follows the newlines: without it they would be one word.
    assert words(rule, "It's 1234   x!!\n\nend")[:-1] == expected


def test_contractions_are_cut_in_any_case_except_in_gpt2() -> None:
    assert words("qwen2", "I'LL") == ["I", "'LL"]
    assert words("gpt-2", "I'LL") == ["I", "'", "LL"]


@given(
    text=st.text(
        alphabet=st.sampled_from(" \t\n\r\u00a0\u0085\u3000a1é'!s日\u0301"), min_size=1, max_size=60
    ),
    rule=st.sampled_from(sorted(PRE_TOKENIZERS)),
)
def test_cutting_never_moves_a_word_boundary(text: str, rule: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretokenizers, "_CHUNK", 3)
        parts = list(chunks(text))
    assert "".join(parts) == text
    assert [word for part in parts for word in words(rule, part)] == words(rule, text)


def test_short_text_is_not_cut_and_long_text_is() -> None:
    assert list(chunks("a b c")) == ["a b c"]
    assert len(list(chunks("word " * 100_000))) > 1
