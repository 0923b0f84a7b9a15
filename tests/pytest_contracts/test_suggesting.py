"""What a misspelt name was meant to be."""

from __future__ import annotations

import pytest

from pytest_contracts.suggesting import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "known", "asked"),
    [
        ("sofmax", {"softmax", "rmsnorm"}, "Did you mean 'softmax'?"),
        ("sofmax", ["rmsnorm"], None),
        ("sofmax", (), None),
    ],
)
def test_the_question_names_what_is_near(word, known, asked):
    assert did_you_mean(word, known) == asked


def test_what_is_near_enough_is_for_the_caller_to_say():
    assert nearest("metadat", ["metadata"], cutoff=0.9) == "metadata"
    assert nearest("meta", ["metadata"], cutoff=0.8) is None
