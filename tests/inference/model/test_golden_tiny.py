"""The decoder against Transformers on a random two-layer Qwen2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.trace.plan import TracePlan
from inference.trace.stages import Stage

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "tiny" / "qwen2.golden.npz")
SEQUENCES = [f"seq{i}" for i in range(5)]


def golden(sequence: str, name: str) -> NDArray[Any]:
    value: NDArray[Any] = GOLDEN[f"{sequence}.{name}"]
    return value


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_logits_of_every_position(tiny: Model, sequence: str) -> None:
    logits = tiny.forward(golden(sequence, "ids").tolist())
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, golden(sequence, "logits"), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sequence", SEQUENCES[:3])
def test_hidden_states_of_every_layer(tiny: Model, sequence: str) -> None:
    plan = TracePlan((Stage.EMBEDDING, Stage.POST_FFN_RESIDUAL, Stage.FINAL_NORM))
    values = tiny.trace(golden(sequence, "ids").tolist(), plan).values
    expected = golden(sequence, "hidden")
    assert len(values) == len(expected)
    for value, reference in zip(values.values(), expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_greedy_tokens_where_the_choice_is_clear(tiny: Model, sequence: str) -> None:
    expected, margins = golden(sequence, "greedy"), golden(sequence, "greedy_margin")
    clear = int(np.argmax(margins < 1e-3)) if np.any(margins < 1e-3) else len(margins)
    assert clear > 0
    found = tiny.generate(golden(sequence, "ids").tolist(), max_tokens=16, ignore_eos=True)
    assert list(found.ids[:clear]) == expected[:clear].tolist()


def test_token_by_token_equals_one_batch(tiny: Model) -> None:
    ids = golden("seq3", "ids").tolist()
    batch = tiny.forward(ids)
    session = tiny.session()
    one_by_one = np.concatenate([session.advance([token]) for token in ids])
    np.testing.assert_allclose(one_by_one, batch, rtol=0, atol=1e-4)
    assert session.length == len(ids)


def test_uneven_batches_equal_one_batch(tiny: Model) -> None:
    ids = golden("seq4", "ids").tolist()
    session = tiny.session()
    parts = [ids[:1], ids[1:8], ids[8:64]]
    logits = np.concatenate([session.advance(part, every_row=True) for part in parts])
    np.testing.assert_allclose(logits, tiny.forward(ids), rtol=0, atol=1e-4)
