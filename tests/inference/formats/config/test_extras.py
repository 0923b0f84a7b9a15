"""What only some models state: windows, local bases, scales, in every dialect."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFValueType as Kind

import inference
from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats import ModelFile, open_model
from inference.formats.base import TensorInfo
from inference.formats.config import model_config
from inference.formats.validate import expected_shapes
from inference.model.config import LinearScaling, Llama3Scaling, ModelConfig, SlidingWindow
from inference.quant.types import GGMLType

TINY = Path(__file__).parents[3] / "golden" / "tiny" / "gemma3"
LEGACY = {
    "rope_parameters": None,
    "layer_types": None,
    "rope_theta": 1e6,
    "rope_local_base_freq": 1e4,
    "sliding_window_pattern": 2,
}


@pytest.fixture
def directory(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Return a function that copies the tiny Gemma 3 with other settings."""

    def copy(changed: dict[str, Any]) -> Path:
        path = tmp_path / "gemma3"
        shutil.copytree(TINY, path)
        config = json.loads((path / "config.json").read_text()) | changed
        (path / "config.json").write_text(json.dumps(config))
        return path

    return copy


class StatedOnly:
    """A GGUF file of metadata and tensor shapes without any data."""

    def __init__(self, layers: int, extra: dict[str, Any]) -> None:
        self.path = Path("stated.gguf")
        self.format = "gguf"
        stated: dict[str, Any] = {
            "block_count": layers,
            "embedding_length": 64,
            "attention.head_count": 8,
            "attention.head_count_kv": 2,
            "attention.key_length": 32,
            "feed_forward_length": 96,
            "context_length": 128,
            "vocab_size": 40,
            "rope.freq_base": 1e6,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "attention.sliding_window": 16,
        }
        self.metadata = {"general.architecture": "gemma3"} | {
            f"gemma3.{key}": value for key, value in (stated | extra).items()
        }
        with open_model(TINY) as file:
            config = model_config(file)
        sizes = {"hidden": 64, "heads": 8, "kv_heads": 2, "head_dim": 32, "intermediate": 96}
        sizes |= {"vocab": 40, "layers": layers}
        fields = {name: getattr(config, name) for name in ModelConfig.__slots__} | sizes
        self.tensors = {
            name: TensorInfo(name, name, shape, GGMLType.F32, 0, 4 * math.prod(shape))
            for name, shape in expected_shapes(ModelConfig(**fields))
        }

    def config(self) -> ModelConfig:
        file: Any = self
        assert isinstance(file, ModelFile)
        return model_config(file)

    def raw(self, name: str) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_both_styles_of_config_say_the_same(directory: Callable[..., Path]) -> None:
    with open_model(TINY) as new, open_model(directory(LEGACY)) as old:
        assert model_config(old) == model_config(new)
        assert model_config(new).sliding == SlidingWindow(8, (0,), 1e4)
        assert model_config(new).embedding_scale == 16.0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"layer_types": ["full_attention", "full_attention"]}, SlidingWindow(8, (), 1e4)),
        ({**LEGACY, "sliding_window_pattern": None}, SlidingWindow(8, (0, 1), 1e4)),
        ({**LEGACY, "rope_local_base_freq": None}, SlidingWindow(8, (0,), 1e4)),
        ({**LEGACY, "rope_local_base_freq": 2e4}, SlidingWindow(8, (0,), 2e4)),
    ],
)
def test_windows_of_directories(
    changed: dict[str, Any], expected: SlidingWindow, directory: Callable[..., Path]
) -> None:
    with open_model(directory(changed)) as file:
        assert model_config(file).sliding == expected


def test_scaling_is_for_full_attention_only(directory: Callable[..., Path]) -> None:
    path = directory({**LEGACY, "rope_scaling": {"rope_type": "linear", "factor": 8}})
    with inference.load(path) as model:
        assert model.config.rope_scaling == LinearScaling(8.0)
        ropes = [op for op in model.program.ops if type(op).__name__ == "Rope"]
        found = [(op.theta, op.scaling) for op in ropes]  # type: ignore[union-attr]
        assert found == [(1e4, None)] * 2 + [(1e6, LinearScaling(8.0))] * 2


def test_a_query_scalar_scales_the_queries(directory: Callable[..., Path]) -> None:
    ids = [(i * 37 + 5) % 512 for i in range(20)]
    path = directory({"query_pre_attn_scalar": 16})
    with inference.load(path, numerics="f32") as model:
        assert model.config.query_scale == 2.0
        found = model.forward(ids)
    # Scores twice as large are those of norm weights twice as large: 2 · (1 + w) = 1 + (1 + 2 · w).
    from inference.engine.model import Model
    from inference.formats.overlay import Overlay, tensor_values

    file = open_model(TINY)
    names = [f"blk.{layer}.attn_q_norm.weight" for layer in range(2)]
    doubled = {name: 1 + 2 * tensor_values(file, name) for name in names}
    with Model(Overlay(file, doubled), numerics="f32") as other:
        np.testing.assert_allclose(found, other.forward(ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layer_types": ["sliding_attention"]}, "of each of 2 layers whether it slides"),
        ({"layer_types": ["chunked_attention"] * 2}, "of each of 2 layers whether it slides"),
        ({"layer_types": {}}, "of each of 2 layers whether it slides"),
        ({"sliding_window": 0}, "'sliding_window' is '0'"),
        ({**LEGACY, "sliding_window_pattern": "6"}, "'sliding_window_pattern' is '6'"),
        ({"query_pre_attn_scalar": -1}, "'query_pre_attn_scalar' is '-1'"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping is not implemented"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is not implemented"),
        ({"use_bidirectional_attention": True}, "attention to later tokens"),
        ({"hidden_activation": "gelu"}, "activation 'gelu' is not implemented"),
        (
            {
                "rope_parameters": {
                    "full_attention": {"rope_theta": 1e6},
                    "sliding_attention": {"rope_type": "linear", "factor": 2},
                }
            },
            "'linear' of sliding layers",
        ),
    ],
)
def test_what_is_refused(
    changed: dict[str, Any], message: str, directory: Callable[..., Path]
) -> None:
    with open_model(directory(changed)) as file, pytest.raises(ModelFileError, match=message):
        model_config(file)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, SlidingWindow(16, (0, 1, 2, 3, 4, 6), 1e4)),
        ({"attention.sliding_window_pattern": 3}, SlidingWindow(16, (0, 1, 3, 4, 6), 1e4)),
        (
            {"attention.sliding_window_pattern": np.array([True] * 3 + [False] * 4)},
            SlidingWindow(16, (0, 1, 2), 1e4),
        ),
        ({"rope.freq_base_swa": 5e3}, SlidingWindow(16, (0, 1, 2, 3, 4, 6), 5e3)),
    ],
)
def test_windows_of_gguf(extra: dict[str, Any], expected: SlidingWindow) -> None:
    config = StatedOnly(7, extra).config()
    assert config.sliding == expected
    assert (config.query_scale, config.norm_offset, config.embedding_scale) == (1.0, 0.0, 8.0)


@pytest.mark.parametrize(
    "pattern", [np.array([True] * 3), np.array([0.5] * 7), "sliding", [None] * 7, [[]] * 7, True]
)
def test_windows_of_gguf_that_cannot_be(pattern: Any) -> None:
    with pytest.raises(ModelFileError, match="whether it slides"):
        StatedOnly(7, {"attention.sliding_window_pattern": pattern}).config()


def test_the_one_gguf_with_another_query_scalar_is_known_by_its_depth() -> None:
    assert StatedOnly(62, {}).config().query_scale == math.sqrt(32 / (64 / 8))


def test_partial_rotation_is_refused(make_gguf: Callable[..., Path]) -> None:
    path = make_gguf(changed={"qwen2.rope.dimension_count": (8, Kind.UINT32, None)})
    with (
        open_model(path) as file,
        pytest.raises(UnsupportedFormatError, match="only 8 of 16 values of a head rotate"),
    ):
        model_config(file)


def test_defaults_of_hugging_face(directory: Callable[..., Path]) -> None:
    left_out = {**LEGACY, "rope_theta": None, "query_pre_attn_scalar": None}
    with open_model(directory(left_out)) as file:
        config = model_config(file)
    assert (config.rope_theta, config.query_scale) == (1e6, 0.5)


def test_llama3_scaling_of_the_checkpoint() -> None:
    with open_model(TINY.with_name("llama")) as file:
        assert model_config(file).rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 32)
