from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.text.leftmost import merge_leftmost

TOKENS = ["a", "b", "c", "ab", "bc", "ca", "aa", "abc", "bca", "aab", "abab", "cc"]


def step_by_step(text: str, vocabulary: dict[str, int], scores: list[float]) -> list[str]:
    """Merge by looking at every pair anew each time."""
    pieces = list(text)
    while True:
        found = [
            (-scores[vocabulary[pieces[i] + pieces[i + 1]]], i)
            for i in range(len(pieces) - 1)
            if pieces[i] + pieces[i + 1] in vocabulary
        ]
        if not found:
            return pieces
        _, i = min(found)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]


@given(
    st.text("abcd", max_size=24),
    st.lists(st.sampled_from([0.0, -1.0, -2.0]), min_size=len(TOKENS), max_size=len(TOKENS)),
)
def test_the_best_score_then_the_leftmost(text: str, scores: list[float]) -> None:
    vocabulary = {token: number for number, token in enumerate(TOKENS)}
    expected = step_by_step(text, vocabulary, scores)
    assert merge_leftmost(text, vocabulary, scores) == expected
    assert "".join(expected) == text
