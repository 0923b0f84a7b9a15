"""Several texts in one batch: each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inference
from inference import Model
from inference.data import TINY_MODEL
from inference.decode.past import PREFILL_TOKENS
from inference.decode.session import Session
from inference.errors import ContextOverflowError, InputError
from inference.kernels.qmatmul import FUSED_KERNELS, multiply, pack, quantize_activations
from inference.model.architectures import ARCHITECTURES
from inference.quant.types import row_bytes

TINY = Path(__file__).parents[2] / "golden" / "tiny"
IDS = [335, 309, 220, 17, 10, 17, 30]
RAGGED = [IDS, IDS[:1], [17, 10] * 20, [*IDS, *IDS[::-1]], [53] * (PREFILL_TOKENS + 9)]


@pytest.fixture(scope="module", params=["f32", "fused"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    with inference.load(TINY_MODEL, numerics=request.param) as model:
        yield model


@pytest.fixture(scope="module")
def f32() -> Iterator[Model]:
    with inference.load(TINY_MODEL, numerics="f32") as model:
        yield model


def alone(model: Model, prompts: Sequence[Sequence[int]]) -> np.ndarray:
    return np.stack([model.session().advance(prompt)[-1] for prompt in prompts])


def test_f32_logits_are_bit_for_bit_those_of_one_alone(of_any: Model) -> None:
    prompts = [prompt[:60] for prompt in RAGGED]
    sessions = [of_any.session() for _ in prompts]
    together = Session.advance_together(list(zip(sessions, prompts, strict=True)))
    np.testing.assert_array_equal(together, alone(of_any, prompts))
    # And again from pasts of different lengths, with one text that sits this step out.
    steps = [(session, [17, 10][: 1 + n % 2]) for n, session in enumerate(sessions)][1:]
    again = Session.advance_together(steps)
    longer = [[*prompt, *ids] for prompt, (_, ids) in zip(prompts[1:], steps, strict=True)]
    for row, prompt, (session, ids) in zip(again, longer, steps, strict=True):
        single = of_any.session()
        single.advance(prompt[: -len(ids)])
        np.testing.assert_array_equal(row, single.advance(ids)[-1])
        assert session.ids == tuple(prompt)
    assert sessions[0].ids == tuple(prompts[0])


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def of_any(request: pytest.FixtureRequest) -> Iterator[Model]:
    with inference.load(TINY / request.param, numerics="f32") as model:
        yield model


def test_a_batch_is_what_each_prompt_gives_alone(model: Model) -> None:
    batch = model.generate_batch(RAGGED, max_tokens=12, ignore_eos=True)
    for prompt, found in zip(RAGGED, batch, strict=True):
        single = model.generate(prompt, max_tokens=12, ignore_eos=True)
        assert (found.ids, found.text, found.finish_reason) == (
            (single.ids, single.text, single.finish_reason)
        )
        assert found.prompt_ids == tuple(prompt)
        assert found.prefill_s > 0
        assert found.decode_s > 0


def test_each_text_has_options_and_an_end_of_its_own(f32: Model) -> None:
    free = f32.generate(IDS, max_tokens=12, ignore_eos=True)
    each: list[dict[str, Any]] = [
        {"stop": [free.text[3:6]], "temperature": 0.0},
        {"seed": 1},
        {"seed": 2},
        {"seed": 1, "max_tokens": 3},
        {"seed": 1, "presence_penalty": 1e6, "logprobs": 2},
        {"seed": 1, "logit_bias": {free.ids[0]: float("-inf")}, "typical_p": 0.5, "top_k": 9},
    ]
    common = {"max_tokens": 12, "temperature": 1.2, "ignore_eos": True}
    batch = f32.generate_batch([IDS] * len(each), each=each, **common)
    for own, found in zip(each, batch, strict=True):
        single = f32.generate(IDS, **{**common, **own})
        assert (found.ids, found.text, found.finish_reason, found.logprobs) == (
            (single.ids, single.text, single.finish_reason, single.logprobs)
        )
    assert batch[0].finish_reason == "stop"
    assert len(batch[0].ids) < len(batch[1].ids)
    assert batch[1].ids != batch[2].ids
    assert batch[3].ids == batch[1].ids[:3]


def test_end_tokens_finish_one_text_and_not_the_others(
    f32: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = f32.generate_batch(RAGGED[:2], max_tokens=6, ignore_eos=True)
    last = next(token for token in free[0].ids if token not in free[1].ids)
    monkeypatch.setattr(f32.tokenizer, "eog_ids", frozenset({last}))
    found = f32.generate_batch(RAGGED[:2], max_tokens=6)
    assert found[0].ids == free[0].ids[: free[0].ids.index(last)]
    assert (found[0].finish_reason, found[1].finish_reason) == ("stop", "length")
    assert found[1].ids == free[1].ids


def test_every_weight_is_read_once_per_step_for_all_texts(model: Model) -> None:
    before = [entry.calls for entry in model.dispatch]
    model.generate_batch([IDS, IDS[:2], IDS[:4]], max_tokens=10, ignore_eos=True)
    steps = {entry.calls - b for entry, b in zip(model.dispatch, before, strict=True)}
    assert steps == {0, 10}  # the embedding table is never multiplied


def test_texts_come_as_text_too(f32: Model) -> None:
    by_text = f32.generate_batch(["What is 2+2?", "What"], max_tokens=4)
    assert by_text[0].ids == f32.generate("What is 2+2?", max_tokens=4).ids
    assert f32.generate_batch([], max_tokens=4) == []


def test_what_a_batch_refuses(f32: Model) -> None:
    with pytest.raises(InputError, match="2 prompts, but options for 1"):
        f32.generate_batch([IDS, IDS], max_tokens=1, each=[{}])
    with pytest.raises(InputError, match="temperature"):
        f32.generate_batch([IDS], max_tokens=1, each=[{"temperature": -1.0}])
    with pytest.raises(InputError, match="512 at position 1"):
        f32.generate_batch([IDS, [1, 512]], max_tokens=1)
    room = f32.config.context_length - len(IDS)
    with pytest.raises(ContextOverflowError, match=f"at most {room} new tokens"):
        f32.generate_batch([IDS[:2], IDS], max_tokens=room + 1)
    session = f32.session()
    with pytest.raises(InputError, match="twice in one batch"):
        Session.advance_together([(session, [1]), (session, [2])])
    with inference.load(TINY_MODEL) as other, pytest.raises(InputError, match="of one model"):
        Session.advance_together([(session, [1]), (other.session(), [2])])
    assert session.length == 0


@pytest.mark.parametrize("dtype", FUSED_KERNELS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("rows", [2, 3, 9])
def test_fused_products_do_not_depend_on_the_other_rows(dtype: Any, rows: int) -> None:
    random = np.random.default_rng(rows)
    raw = random.integers(0, 60, 33 * row_bytes(dtype, 256), dtype=np.uint8)
    weight = pack(raw, dtype, 33, 256)
    x = random.standard_normal((rows, 256)).astype(np.float32)
    together = multiply(weight, *quantize_activations(x))
    assert np.isfinite(together).all()
    for row, result in zip(x, together, strict=True):
        np.testing.assert_array_equal(multiply(weight, *quantize_activations(row[None]))[0], result)
