from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import InputError
from inference.model.stages import ALIASES, Stage, parse_stage, parse_stages
from inference.trace.plan import TracePlan, parse_layer_range

NAMES = st.sampled_from([*(stage.value for stage in Stage), *ALIASES])


def test_twenty_stages_with_their_wire_names() -> None:
    assert len(Stage) == 20
    assert Stage.FFN_SWIGL == "ffn_swigl"
    assert [stage for stage in Stage if stage.whole_model] == [Stage.FINAL_NORM, Stage.LM_HEAD]
    assert [stage for stage in Stage if stage.first_layer_only] == [Stage.EMBEDDING]


@given(st.lists(st.tuples(NAMES, st.booleans(), st.sampled_from(["", " ", "\t "])), min_size=1))
def test_any_spelling_of_known_names_parses_and_duplicates_stay(
    words: list[tuple[str, bool, str]],
) -> None:
    text = ",".join(space + (name.upper() if loud else name) + space for name, loud, space in words)
    assert parse_stages(text) == tuple(ALIASES.get(name) or Stage(name) for name, _, _ in words)


@given(st.text(max_size=20))
def test_other_names_are_refused_with_the_list(text: str) -> None:
    name = text.strip().lower()
    if name in {*Stage, *ALIASES}:
        assert parse_stage(text) in Stage
    else:
        with pytest.raises(InputError, match=r"valid stages: embedding, .*layer_output"):
            parse_stage(text)


def test_all_and_none() -> None:
    assert parse_stages(" All ") == tuple(Stage)
    assert parse_stages("  ") == ()


@pytest.mark.parametrize("text", ["a,,b", ",embedding", "embedding,", "embedding, ,ffn_up"])
def test_empty_entries_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="empty stage name"):
        parse_stages(text)


def test_all_is_no_list_entry() -> None:
    with pytest.raises(InputError, match="unknown stage 'all'"):
        parse_stages("embedding,all")


@given(st.integers(0, 999), st.integers(1, 999))
def test_ranges_exclude_their_end(start: int, length: int) -> None:
    assert parse_layer_range(f" {start} .. {start + length}") == range(start, start + length)


@pytest.mark.parametrize(
    "text", ["", "3", "3-4", "-1..2", "1..", "..4", "1...4", "a..b", "3..3", "4..3", "1..2..3"]
)
def test_bad_ranges_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="layer range"):
        parse_layer_range(text)


@pytest.mark.parametrize(
    ("stage", "layer", "kept"),
    [
        (Stage.FFN_UP, 2, True),
        (Stage.FFN_UP, 4, False),
        (Stage.FFN_UP, 1, False),
        (Stage.FFN_GATE, 2, False),
        (Stage.LM_HEAD, None, True),
        (Stage.FINAL_NORM, None, False),
    ],
)
def test_plan(stage: Stage, layer: int | None, kept: bool) -> None:
    assert TracePlan.parse("ffn_up,lm_head", "2..4").should_save(stage, layer) is kept


def test_plan_without_range_keeps_every_layer() -> None:
    assert TracePlan.parse("ffn_up").should_save(Stage.FFN_UP, 77)


def test_plan_must_fit_the_model() -> None:
    plan = TracePlan.parse("all", "0..4")
    assert plan.within(4) is plan
    with pytest.raises(InputError, match=r"0\.\.4 reaches past the last layer.*0\.\.3"):
        plan.within(3)
