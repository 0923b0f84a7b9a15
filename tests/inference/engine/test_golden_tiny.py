"""The decoder against Transformers on small random models of every architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.model.stages import Stage
from inference.trace.plan import TracePlan

TINY = Path(__file__).parents[2] / "golden" / "tiny"


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as held:
        return dict(held)


GOLDEN = {path.name.split(".")[0]: arrays(path) for path in sorted(TINY.glob("*.golden.npz"))}


def cases(name: str) -> list[Any]:
    """Every model's sequences that have a value recorded under ``name``."""
    return [
        pytest.param(architecture, key.split(".")[0], id=f"{architecture}-{key.split('.')[0]}")
        for architecture, values in GOLDEN.items()
        for key in values
        if key.endswith(f".{name}")
    ]


def golden(architecture: str, sequence: str, name: str) -> NDArray[Any]:
    value: NDArray[Any] = GOLDEN[architecture][f"{sequence}.{name}"]
    return value


@pytest.mark.parametrize(("architecture", "sequence"), cases("logits"))
def test_logits_of_every_position(
    architecture: str, sequence: str, tiny_of: Callable[[str], Model]
) -> None:
    ids = golden(architecture, sequence, "ids").tolist()
    logits = tiny_of(architecture).forward(ids)
    assert logits.dtype == np.float32
    expected = golden(architecture, sequence, "logits")
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("architecture", "sequence"), cases("hidden"))
def test_hidden_states_of_every_layer(
    architecture: str, sequence: str, tiny_of: Callable[[str], Model]
) -> None:
    stages = [Stage.EMBEDDING, Stage.POST_FFN_RESIDUAL, Stage.FINAL_NORM]
    model = tiny_of(architecture)
    expected = golden(architecture, sequence, "hidden")
    if len(expected) == model.config.layers + 1:  # recorded within a deeper model
        stages.pop()
    values = model.trace(
        golden(architecture, sequence, "ids").tolist(), TracePlan(tuple(stages))
    ).values
    assert len(values) == len(expected)
    for value, reference in zip(values.values(), expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("architecture", "sequence"), cases("greedy"))
def test_greedy_tokens_where_the_choice_is_clear(
    architecture: str, sequence: str, tiny_of: Callable[[str], Model]
) -> None:
    margins = golden(architecture, sequence, "greedy_margin")
    clear = int(np.argmax(margins < 1e-3)) if np.any(margins < 1e-3) else len(margins)
    assert clear > 0
    session = tiny_of(architecture).session()
    found: list[int] = []
    last = session.advance(golden(architecture, sequence, "ids"))
    for _ in range(clear):
        found.append(int(np.argmax(last[-1])))
        last = session.advance(found[-1:])
    assert found == golden(architecture, sequence, "greedy")[:clear].tolist()


def test_token_by_token_equals_one_batch(of_architecture: Model) -> None:
    ids = [(i * 37 + 5) % 512 for i in range(40)]
    batch = of_architecture.forward(ids)
    session = of_architecture.session()
    one_by_one = np.concatenate([session.advance([token]) for token in ids])
    np.testing.assert_allclose(one_by_one, batch, rtol=0, atol=1e-4)
    assert session.length == len(ids)


def test_uneven_batches_equal_one_batch(of_architecture: Model) -> None:
    ids = [(i * 37 + 5) % 512 for i in range(64)]
    session = of_architecture.session()
    parts = [ids[:1], ids[1:8], ids[8:29], ids[29:64]]
    logits = np.concatenate([session.advance(part, every_row=True) for part in parts])
    np.testing.assert_allclose(logits, of_architecture.forward(ids), rtol=0, atol=1e-4)


def test_generation_is_the_greedy_walk(tiny: Model) -> None:
    expected = golden("qwen2", "seq2", "greedy")
    found = tiny.generate(golden("qwen2", "seq2", "ids").tolist(), max_tokens=16, ignore_eos=True)
    assert list(found.ids) == expected.tolist()
