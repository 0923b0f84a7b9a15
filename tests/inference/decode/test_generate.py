from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import inference
from inference import Model
from inference.data import TINY_MODEL
from inference.errors import ContextOverflowError, EngineError, InputError

IDS = [335, 309, 220, 17, 10, 17, 30]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with inference.load(TINY_MODEL) as model:
        yield model


def test_text_and_ids_give_the_same(model: Model) -> None:
    by_ids = model.generate(IDS, max_tokens=6)
    by_text = model.generate("What is 2+2?", max_tokens=6)
    assert by_ids.ids == by_text.ids
    assert by_ids.prompt_ids == tuple(IDS)
    assert str(by_ids) == by_ids.text == model.tokenizer.decode(by_ids.ids)
    assert by_ids.finish_reason == "length"
    assert by_ids.tokens_per_s > 0
    assert model.generate(IDS, max_tokens=1).tokens_per_s == 0.0


def test_stream_is_the_same_run(model: Model) -> None:
    pieces = list(model.stream(IDS, max_tokens=12))
    whole = model.generate(IDS, max_tokens=12)
    assert tuple(piece.id for piece in pieces) == whole.ids
    assert whole.text == "".join(piece.text for piece in pieces)


def test_stops_before_an_end_token(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    free = model.generate(IDS, max_tokens=5, ignore_eos=True)
    monkeypatch.setattr(model.tokenizer, "eog_ids", frozenset({free.ids[2]}))
    first = free.ids.index(free.ids[2])
    stopped = model.generate(IDS, max_tokens=5)
    assert stopped.ids == free.ids[:first]
    assert stopped.finish_reason == "stop"
    assert model.generate(IDS, max_tokens=5, ignore_eos=True).ids == free.ids


def test_nothing_generated(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.tokenizer, "eog_ids", frozenset(range(512)))
    found = model.generate(IDS, max_tokens=5)
    assert (found.ids, found.text, found.finish_reason) == ((), "", "stop")
    assert found.decode_s == 0.0


def test_sampling_depends_on_the_seed_alone(model: Model) -> None:
    runs = [model.generate(IDS, max_tokens=16, temperature=1.5, seed=s).ids for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"max_tokens": 1, "temperature": -0.1}, "temperature"),
        ({"max_tokens": 1, "temperature": float("nan")}, "temperature"),
        ({"max_tokens": 1, "temperature": float("inf")}, "temperature"),
        ({"max_tokens": 1, "seed": -1}, "seed"),
        ({"max_tokens": 1, "stop": "end"}, "stop must be a sequence"),
        ({"max_tokens": 1, "stop": ["end", ""]}, "must not be empty"),
        ({"max_tokens": 1, "logprobs": -1}, "logprobs"),
        ({"max_tokens": 1, "overflow": "shift"}, "overflow must be 'error' or 'truncate'"),
    ],
)
def test_options_out_of_range(model: Model, options: dict[str, Any], message: str) -> None:
    for call in (model.generate, model.stream):
        with pytest.raises(InputError, match=message):
            call(IDS, **options)


def test_overflow_is_refused_before_work(model: Model) -> None:
    room = model.config.context_length - len(IDS)
    session = model.session()
    with pytest.raises(ContextOverflowError, match=f"at most {room} new tokens"):
        next(model.stream(IDS, max_tokens=room + 1, session=session))
    assert session.length == 0
    assert next(model.stream(IDS, max_tokens=room)).id is not None


def test_an_answer_may_end_where_the_context_does(model: Model) -> None:
    room = 3
    ids = (IDS * 1000)[: model.config.context_length - room]
    found = model.generate(ids, max_tokens=10, overflow="truncate", ignore_eos=True)
    assert (len(found.ids), found.finish_reason) == (room, "length")
    full = (IDS * 1000)[: model.config.context_length]
    with pytest.raises(ContextOverflowError, match="at most 0 new tokens"):
        model.generate(full, max_tokens=1, overflow="truncate")


def test_a_stop_string_ends_the_text_before_it(model: Model) -> None:
    free = model.generate(IDS, max_tokens=12, ignore_eos=True)
    middle = len(free.text) // 2
    stop = free.text[middle : middle + 3]
    stopped = model.generate(IDS, max_tokens=12, ignore_eos=True, stop=["never there", stop])
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.ids == free.ids[: len(stopped.ids)]
    assert len(stopped.ids) < len(free.ids)
    pieces = list(model.stream(IDS, max_tokens=12, ignore_eos=True, stop=[stop]))
    assert "".join(piece.text for piece in pieces) == stopped.text


def test_held_back_text_comes_at_the_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    free = model.generate(IDS, max_tokens=4, ignore_eos=True)
    stop = free.text[-2:] + "never there"
    held = list(model.stream(IDS, max_tokens=4, ignore_eos=True, stop=[stop]))
    assert "".join(piece.text for piece in held) == free.text
    assert [piece.id for piece in held] == list(free.ids)
    # The same when an end-of-generation token comes: nobody knew that the last token was the last.
    longer = model.generate(IDS, max_tokens=9, ignore_eos=True)
    ends = next(n for n in range(4, 9) if longer.ids[n] not in longer.ids[:n])
    monkeypatch.setattr(model.tokenizer, "eog_ids", frozenset({longer.ids[ends]}))
    before = model.generate(IDS, max_tokens=ends, ignore_eos=True).text
    stop = before[-2:] + "never there"
    pieces = list(model.stream(IDS, max_tokens=9, stop=[stop]))
    assert "".join(piece.text for piece in pieces) == before
    assert (pieces[-1].id, len(pieces)) == (None, ends + 1)
    assert model.generate(IDS, max_tokens=9, stop=[stop]).ids == longer.ids[:ends]


def test_logprobs_are_of_the_model_and_not_of_the_sampler(model: Model) -> None:
    plain = model.generate(IDS, max_tokens=3, logprobs=5)
    assert len(plain.logprobs) == 3
    for token, found in zip(plain.ids, plain.logprobs, strict=True):
        assert found.top[0] == (token, found.chosen)
        values = [value for _, value in found.top]
        assert values == sorted(values, reverse=True)
        assert len(values) == 5
        assert max(values) <= 0
    biased = model.generate(IDS, max_tokens=1, logprobs=1, logit_bias={plain.ids[0]: float("-inf")})
    assert biased.ids[0] == plain.logprobs[0].top[1][0]
    assert biased.logprobs[0].top == plain.logprobs[0].top[:1]
    assert model.generate(IDS, max_tokens=2, logprobs=0).logprobs[0].top == ()
    assert model.generate(IDS, max_tokens=2).logprobs == ()


def test_a_banned_token_never_comes(model: Model) -> None:
    free = model.generate(IDS, max_tokens=8, temperature=1.0, ignore_eos=True)
    banned = dict.fromkeys(free.ids, float("-inf"))
    other = model.generate(IDS, max_tokens=8, temperature=1.0, ignore_eos=True, logit_bias=banned)
    assert not set(other.ids) & set(free.ids)
    with pytest.raises(InputError, match="token 512 is outside"):
        model.generate(IDS, max_tokens=1, logit_bias={512: 1.0})
    every = dict.fromkeys(range(512), float("-inf"))
    with pytest.raises(EngineError, match="every token has been excluded"):
        model.generate(IDS, max_tokens=1, logit_bias=every)


def test_penalties_avoid_repetition(model: Model) -> None:
    found = model.generate(IDS, max_tokens=24, ignore_eos=True, presence_penalty=1e6)
    assert len({*found.ids, *IDS}) == 24 + len(set(IDS))
