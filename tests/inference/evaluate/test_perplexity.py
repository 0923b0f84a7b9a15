from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import inference
from inference import Model
from inference.data import TINY_MODEL
from inference.errors import ContextOverflowError, InputError
from inference.evaluate.perplexity import position_logits, token_losses

IDS = [335, 309, 220, 17, 10, 17, 30] * 21


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with inference.load(TINY_MODEL, numerics="f32") as model:
        yield model


def test_losses_are_those_of_the_whole_text_at_once(model: Model) -> None:
    logits = model.forward(IDS).astype(np.float64)[:-1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log([row[token] for row, token in zip(probabilities, IDS[1:], strict=True)])
    found = token_losses(model, IDS)
    np.testing.assert_allclose(found.nll, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found.best, np.argmax(logits, axis=1))
    assert found.perplexity == pytest.approx(np.exp(np.mean(expected)), rel=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_positions_do_not_depend_on_how_many_come_at_once(model: Model, rows: int) -> None:
    parts = list(position_logits(model, IDS[:20], rows=rows))
    assert max(map(len, parts)) == min(rows, 20)
    np.testing.assert_allclose(np.concatenate(parts), model.forward(IDS[:20]), rtol=0, atol=1e-4)


def test_two_tokens_are_the_least(model: Model) -> None:
    assert token_losses(model, IDS[:2]).nll.shape == (1,)
    for ids in ([], IDS[:1]):
        with pytest.raises(InputError, match="at least 2"):
            token_losses(model, ids)


def test_what_does_not_fit_the_context_is_refused_before_work(model: Model) -> None:
    calls = [entry.calls for entry in model.dispatch]
    with pytest.raises(ContextOverflowError):
        token_losses(model, [17] * (model.config.context_length + 1))
    assert [entry.calls for entry in model.dispatch] == calls
