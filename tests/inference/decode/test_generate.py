from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import inference
from inference import Model
from inference.data import TINY_MODEL
from inference.decode.generate import GenerationOptions, generate_ids
from inference.errors import ContextOverflowError, InputError

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
    assert whole.text.startswith("".join(piece.text for piece in pieces))


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
        next(generate_ids(session, IDS, GenerationOptions(room + 1), frozenset()))
    assert session.length == 0
    session = model.session()
    assert next(generate_ids(session, IDS, GenerationOptions(room), frozenset())) >= 0
