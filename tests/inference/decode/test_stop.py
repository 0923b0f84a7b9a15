from __future__ import annotations

from hypothesis import example, given
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


@example(parts=["ba", "b"], stops=["a", "bab"])  # the longer one is there when it is too late
@given(parts=st.lists(TEXTS, max_size=8), stops=st.lists(TEXTS.filter(bool), max_size=3))
def test_no_text_is_lost_or_shown_too_early(parts: list[str], stops: list[str]) -> None:
    finder = StopFinder(stops)
    come = shown = ""
    for part in parts:
        come += part if finder.found is None else ""
        shown += finder.push(part)
    if finder.found is None:
        assert shown + finder.finish() == come
        assert not any(stop in come for stop in stops)
    else:
        assert shown == come[: min(come.find(s) for s in stops if s in come)]
