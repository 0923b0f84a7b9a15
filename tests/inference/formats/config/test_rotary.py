"""Which rotary parameters of config.json count, as Transformers 5.24 decides it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.errors import UnsupportedFormatError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.model.config import LinearScaling, Llama3Scaling, ModelConfig

TINY = Path(__file__).parents[3] / "golden" / "tiny"
LINEAR = {"rope_type": "linear", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
UNSAID = {"rope_theta": None, "rope_scaling": None, "rope_parameters": None}


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[str, dict[str, Any]], ModelConfig]:
    """Return a function that reads a tiny model's directory with other settings."""

    def read(name: str, changed: dict[str, Any]) -> ModelConfig:
        path = tmp_path / name
        shutil.copytree(TINY / name, path)
        config = json.loads((path / "config.json").read_text()) | UNSAID | changed
        (path / "config.json").write_text(json.dumps(config))
        with open_model(path) as file:
            return model_config(file)

    return read


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("changed", "theta", "scaling"),
    [
        ({}, 1e4, None),
        ({"rope_theta": 5e5}, 5e5, None),
        ({"rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}}, 5e5, None),
        ({"rope_theta": 5e5, "rope_parameters": {"rope_theta": 20.0}}, 20.0, None),
        ({"rope_parameters": {"rope_theta": 20.0, **LINEAR}}, 20.0, LinearScaling(4.0)),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 1e4, LinearScaling(4.0)),
        # The old key counts alone where both are there.
        (
            {"rope_scaling": LINEAR, "rope_parameters": {"rope_theta": 20.0}},
            1e4,
            LinearScaling(4.0),
        ),
        (
            {"rope_scaling": {"rope_type": "default"}, "rope_parameters": LINEAR},
            1e4,
            None,
        ),
        ({"rope_scaling": {}, "rope_parameters": LINEAR}, 1e4, LinearScaling(4.0)),
        # What changes nothing there changes nothing here.
        ({"query_pre_attn_scalar": 7, "hidden_activation": "relu"}, 1e4, None),
    ],
)
def test_one_section(
    name: str,
    changed: dict[str, Any],
    theta: float,
    scaling: object,
    config_of: Callable[[str, dict[str, Any]], ModelConfig],
) -> None:
    config = config_of(name, changed)
    assert (config.rope_theta, config.rope_scaling) == (theta, scaling)
    assert config.query_scale == 1.0


@pytest.mark.parametrize(
    ("changed", "context"),
    [
        ({"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 16}}, 16),
        (
            {
                "rope_scaling": {**LLAMA3, "original_max_position_embeddings": 16},
                "original_max_position_embeddings": 64,
            },
            64,
        ),
        ({"rope_scaling": LLAMA3, "max_position_embeddings": 96}, 96),
    ],
)
def test_the_context_of_first_training(
    changed: dict[str, Any],
    context: int,
    config_of: Callable[[str, dict[str, Any]], ModelConfig],
) -> None:
    assert config_of("llama", changed).rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, context)


BY_TYPE = {
    "full_attention": {"rope_type": "default", "rope_theta": 100.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
}


@pytest.mark.parametrize(
    ("changed", "full", "sliding", "scaling"),
    [
        ({"rope_local_base_freq": None}, 1e6, 1e4, None),
        ({"rope_theta": 300.0, "rope_local_base_freq": 50.0}, 300.0, 50.0, None),
        ({"rope_parameters": BY_TYPE, "rope_theta": 300.0}, 100.0, 20.0, None),
        (
            {"rope_parameters": {"sliding_attention": BY_TYPE["sliding_attention"]}},
            1e6,
            20.0,
            None,
        ),
        ({"rope_parameters": BY_TYPE, "rope_scaling": LINEAR}, 100.0, 20.0, LinearScaling(4.0)),
        # The section lies over one that says "default"; the older word for it is not read there.
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 1e6, 1e4, None),
    ],
)
def test_a_section_for_each_type_of_layer(
    changed: dict[str, Any],
    full: float,
    sliding: float,
    scaling: object,
    config_of: Callable[[str, dict[str, Any]], ModelConfig],
) -> None:
    config = config_of("gemma3", changed)
    assert config.sliding is not None
    found = config.rope_theta, config.sliding.rope_theta, config.rope_scaling
    assert found == (full, sliding, scaling)


@pytest.mark.parametrize("key", ["rope_type", "type"])
def test_scaling_of_sliding_layers_is_refused_under_either_name(
    key: str, config_of: Callable[[str, dict[str, Any]], ModelConfig]
) -> None:
    sections = {**BY_TYPE, "sliding_attention": {key: "linear", "factor": 4.0}}
    with pytest.raises(UnsupportedFormatError, match="'linear' of sliding layers"):
        config_of("gemma3", {"rope_parameters": sections})
