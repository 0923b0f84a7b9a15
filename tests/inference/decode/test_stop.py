from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.decode.stop import StopFinder

TEXTS = st.text(alphabet="ab", max_size=12)


def test_a_possible_prefix_is_held_back_and_no_more() -> None:
    finder = StopFinder(["</s>"])
    assert finder.push("a <") == "a "
    assert finder.push("/") == ""
    assert finder.push("b") == "</b"
    assert finder.push("<<") == "<"
    assert finder.push("/s") == ""
    assert finder.found is None
    assert finder.push("> more") == ""
    assert finder.found == "</s>"
    assert (finder.push("x"), finder.finish()) == ("", "")


def test_the_earliest_wins_and_then_the_longest() -> None:
    finder = StopFinder(["b", "ab", "abc"])
    assert finder.push("xabc") == "x"
    assert finder.found == "abc"


def test_without_stop_strings_everything_passes() -> None:
    finder = StopFinder([])
    assert finder.push("abc") == "abc"
    assert finder.finish() == ""


@given(parts=st.lists(TEXTS, max_size=8), stops=st.lists(TEXTS.filter(bool), max_size=3))
def test_no_text_is_lost_or_shown_too_early(parts: list[str], stops: list[str]) -> None:
    finder = StopFinder(stops)
    shown = "".join(finder.push(part) for part in parts)
    if finder.found is None:
        assert shown + finder.finish() == "".join(parts)
        assert not any(stop in "".join(parts) for stop in stops)
    else:
        whole = "".join(parts)
        assert shown == whole[: min(whole.find(s) for s in stops if s in whole)]
