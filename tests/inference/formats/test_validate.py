from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inference.errors import ModelFileError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.formats.validate import (
    ContentError,
    ValidatedEmbedding,
    ValidatedVector,
    ValidatedWeight,
    check_structure,
    expected_shapes,
)

VOCAB, HIDDEN = 1000, 16


def good(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def changed(place: Any, value: float) -> np.ndarray[Any, Any]:
    data = good(VOCAB, HIDDEN)
    data[place] = value
    return data


def test_sound_data_are_kept_as_they_are() -> None:
    data = good(VOCAB, HIDDEN)
    assert ValidatedEmbedding(data, VOCAB, HIDDEN).data is not None
    assert np.shares_memory(ValidatedWeight(data, VOCAB, HIDDEN, "w").data, data)
    assert ValidatedVector(np.zeros(4, np.float32), 4, "bias").length == 4


def test_flat_data_take_their_shape() -> None:
    flat = good(VOCAB * HIDDEN)
    assert ValidatedEmbedding(flat, VOCAB, HIDDEN).data.shape == (VOCAB, HIDDEN)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((VOCAB, HIDDEN), np.float32), "DENSITY FAILURE: embedding is 100.0% zeros"),
        (changed(slice(0, 945), 0), "DENSITY FAILURE: embedding is 94.5% zeros"),
        (changed(slice(0, 501), 0), "DENSITY FAILURE: embedding is 50.1% zeros"),
        (changed((3, 3), np.nan), "NON-FINITE DATA: embedding has 1 NaN"),
        (changed((3, 3), -np.inf), "NON-FINITE DATA"),
        (np.full((VOCAB, HIDDEN), 1e-12, np.float32), "L2 FAILURE: the norm"),
        (np.full((VOCAB, HIDDEN), 0.5, np.float32), "VARIATION FAILURE: every value"),
        (changed(500, 0), "L2 FAILURE: embedding of token 500 is zero"),
        (good(HIDDEN, VOCAB), "CONTRACT VIOLATION: embedding has shape"),
        (good(VOCAB, HIDDEN - 1), "CONTRACT VIOLATION"),
        (good(VOCAB, HIDDEN, 1), "CONTRACT VIOLATION"),
    ],
)
def test_embeddings_that_no_model_has(data: Any, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        ValidatedEmbedding(data, VOCAB, HIDDEN)


def test_half_of_an_embedding_may_be_zero() -> None:
    data = good(VOCAB, HIDDEN)
    data[:, ::2] = 0
    assert ValidatedEmbedding(data, VOCAB, HIDDEN).vocab == VOCAB


@pytest.mark.parametrize(("zeros", "accepted"), [(0.79, True), (0.81, False)])
def test_weights_may_be_sparse_to_a_point(zeros: float, accepted: bool) -> None:
    data = good(100, 100)
    data.reshape(-1)[: int(zeros * data.size)] = 0
    if accepted:
        assert ValidatedWeight(data, 100, 100, "w").name == "w"
    else:
        with pytest.raises(ContentError, match=r"w is 81\.0% zeros"):
            ValidatedWeight(data, 100, 100, "w")


def test_a_transposed_head_is_refused() -> None:
    with pytest.raises(ContentError, match="CONTRACT VIOLATION: lm_head has shape"):
        ValidatedWeight(good(HIDDEN, VOCAB), VOCAB, HIDDEN, "lm_head")


def test_vectors_are_finite_and_of_their_length() -> None:
    with pytest.raises(ContentError, match="NON-FINITE"):
        ValidatedVector(np.array([1, np.nan], np.float32), 2, "v")
    with pytest.raises(ContentError, match="CONTRACT VIOLATION"):
        ValidatedVector(good(3), 4, "v")
    with pytest.raises(ContentError, match="CONTRACT VIOLATION"):
        ValidatedVector(good(0), 0, "v")


@pytest.mark.parametrize("data", [[1.0, 2.0], np.ones(2), None, np.ones(2, np.float16)])
def test_only_float32_arrays_come_in(data: Any) -> None:
    with pytest.raises(TypeError, match="a float32 NumPy array is needed"):
        ValidatedVector(data, 2, "v")


def test_every_tensor_of_a_model_has_an_expected_shape(tiny_gguf: Path) -> None:
    with open_model(tiny_gguf) as file:
        expected = dict(expected_shapes(model_config(file)))
        assert expected == {name: info.shape for name, info in file.tensors.items()}


def test_a_wrong_byte_size_is_noticed(tiny_gguf: Path) -> None:
    with open_model(tiny_gguf) as file:
        config = model_config(file)
        tensors = dict(file.tensors)
        info = tensors["output.weight"]
        tensors["output.weight"] = replace(info, nbytes=info.nbytes - 1)
        broken: Any = SimpleNamespace(path=file.path, tensors=tensors)
        with pytest.raises(ModelFileError, match="F-LAYOUT-CONTRACT-004"):
            check_structure(broken, config)
