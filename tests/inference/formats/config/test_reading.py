from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType as Kind

from inference.errors import ModelFileError, UnsupportedArchitectureError, UnsupportedFormatError
from inference.formats import open_model
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_apr
from inference.formats.config import model_config, rope_type_of
from inference.model.config import LinearScaling, Llama3Scaling, ModelConfig, RopeType

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8,
    "low_freq_factor": 1,
    "high_freq_factor": 4,
    "original_max_position_embeddings": 32,
}

EXPECTED = ModelConfig(
    architecture="qwen2",
    layers=2,
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    intermediate=96,
    vocab=40,
    context_length=128,
    rope_theta=1e6,
    rope_type=RopeType.NEOX,
    rms_norm_eps=1e-6,
    tied_embeddings=False,
    biases=("attn_q.bias", "attn_k.bias", "attn_v.bias"),
)


def test_the_same_from_every_format(
    tiny_gguf: Path, tiny_apr: Path, make_hf: Callable[..., Path]
) -> None:
    gguf, apr, hf = (model_config(open_model(path)) for path in (tiny_gguf, tiny_apr, make_hf()))
    assert gguf == apr
    assert gguf.rms_norm_eps == pytest.approx(1e-6)
    for config in (gguf, hf):
        assert config.rms_norm_eps == pytest.approx(EXPECTED.rms_norm_eps, rel=1e-6)
        fields = {name: getattr(config, name) for name in EXPECTED.__slots__}
        fields["rms_norm_eps"] = 1e-6
        assert ModelConfig(**fields) == EXPECTED


def u32(value: int) -> tuple[Any, Kind, None]:
    return value, Kind.UINT32, None


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("block_count", None, "'qwen2.block_count' is missing"),
        ("block_count", u32(0), "must be a positive integer"),
        ("block_count", u32(2**31), "must be a positive integer"),
        ("block_count", u32(1), "not part of architecture qwen2 with 1 layers"),
        ("block_count", u32(3), "'blk.2.attn_norm.weight' of architecture qwen2 is missing"),
        ("embedding_length", ("64", Kind.STRING, None), "must be a positive integer"),
        ("embedding_length", (64.0, Kind.FLOAT32, None), "must be a positive integer"),
        ("embedding_length", (True, Kind.BOOL, None), "must be a positive integer"),
        ("embedding_length", u32(128), "CONTRACT VIOLATION F-LAYOUT-CONTRACT-001"),
        ("embedding_length", u32(2), "key_length"),
        ("attention.head_count", u32(5), "5 heads cannot share 2 key-value heads"),
        ("attention.head_count", ([4, 4], Kind.ARRAY, Kind.UINT32), "must be a positive integer"),
        ("attention.head_count_kv", u32(1), "tensor 'blk.0.attn_k.weight' has shape"),
        ("attention.key_length", u32(15), "rotary pairs need an even size"),
        ("feed_forward_length", u32(97), "tensor 'blk.0.ffn_gate.weight' has shape"),
        ("vocab_size", u32(41), "CONTRACT VIOLATION"),
        ("rope.freq_base", (float("inf"), Kind.FLOAT32, None), "a positive finite number"),
        ("rope.freq_base", (float("nan"), Kind.FLOAT32, None), "a positive finite number"),
        ("attention.layer_norm_rms_epsilon", (0.0, Kind.FLOAT32, None), "positive finite"),
    ],
)
def test_contradictions_are_refused(
    key: str, entry: Any, message: str, make_gguf: Callable[..., Path]
) -> None:
    with (
        open_model(make_gguf(changed={f"qwen2.{key}": entry})) as file,
        pytest.raises(ModelFileError, match=message),
    ):
        model_config(file)


@pytest.mark.parametrize(
    "name", ["attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.weight"]
)
def test_a_missing_tensor_is_noticed(name: str, make_gguf: Callable[..., Path]) -> None:
    with (
        open_model(make_gguf(tensors={f"blk.1.{name}": None})) as file,
        pytest.raises(ModelFileError, match=rf"'blk\.1\.{name}' of architecture qwen2 is missing"),
    ):
        model_config(file)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("output.weight", (64, 32), "F-LAYOUT-CONTRACT-002: tensor 'output.weight' has shape"),
        ("blk.0.ffn_down.weight", (96, 64), "F-LAYOUT-CONTRACT-001"),
        ("blk.0.attn_q.bias", (32,), "F-LAYOUT-CONTRACT-003"),
        ("blk.0.attn_output.bias", (32,), "F-LAYOUT-CONTRACT-003"),
        ("blk.0.attn_gate.bias", (64,), "not part of architecture qwen2"),
        ("rope_freqs.weight", (8,), "among them 'rope_freqs.weight'"),
    ],
)
def test_wrong_tensors_are_refused(
    name: str, shape: tuple[int, ...], message: str, make_gguf: Callable[..., Path]
) -> None:
    with (
        open_model(make_gguf(tensors={name: shape})) as file,
        pytest.raises(ModelFileError, match=message),
    ):
        model_config(file)


def test_tied_embeddings_are_recognized(make_gguf: Callable[..., Path]) -> None:
    with open_model(make_gguf(tensors={"output.weight": None})) as file:
        assert model_config(file).tied_embeddings


def test_other_architectures_are_named(make_gguf: Callable[..., Path]) -> None:
    with (
        open_model(make_gguf(architecture="mamba")) as file,
        pytest.raises(UnsupportedArchitectureError, match=r"'mamba' is not implemented.*qwen2"),
    ):
        model_config(file)


def test_a_file_without_architecture(make_gguf: Callable[..., Path]) -> None:
    changed = {"general.architecture": u32(1)}
    with (
        open_model(make_gguf(changed=changed)) as file,
        pytest.raises(ModelFileError, match="names no architecture"),
    ):
        model_config(file)


def test_scaled_rope_is_refused_by_name(make_gguf: Callable[..., Path], tmp_path: Path) -> None:
    from inference.surgery.importing import import_model

    path = make_gguf(changed={"qwen2.rope.scaling.type": ("yarn", Kind.STRING, None)})
    with open_model(path) as file, pytest.raises(UnsupportedFormatError, match="'yarn'"):
        model_config(file)
    with pytest.raises(UnsupportedFormatError, match="'yarn'"):
        import_model(path, tmp_path / "x.apr")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "'dynamic' is not implemented"),
        ({"rope_scaling": {"type": "linear"}}, "'factor' is missing"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "'factor' is '0'"),
        ({"rope_scaling": LLAMA3 | {"high_freq_factor": 1}}, "must be below high_freq_factor"),
        ({"rope_scaling": LLAMA3 | {"low_freq_factor": None}}, "'low_freq_factor' is missing"),
        (
            {"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 0.5}},
            "'original_max_position_embeddings' is '0.5'",
        ),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "'yarn'"),
        ({"use_sliding_window": True}, "sliding-window attention"),
        ({"is_causal": False}, "attention to later tokens"),
        ({"rope_scaling": "linear"}, "'rope_scaling' is 'linear'; it must be an object"),
        (
            {
                "rope_scaling": {"rope_type": "linear", "factor": 2},
                "partial_rotary_factor": 0.5,
            },
            "partial_rotary_factor",
        ),
        ({"hidden_size": 1e3}, "must be a positive integer"),
        ({"rope_theta": 10**400}, "must be a positive finite number"),
    ],
)
def test_hf_settings_are_refused_by_name(
    changed: dict[str, Any], message: str, make_hf: Callable[..., Path]
) -> None:
    with (
        open_model(make_hf(changed=changed)) as file,
        pytest.raises(ModelFileError, match=message),
    ):
        model_config(file)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (LLAMA3, Llama3Scaling(8.0, 1.0, 4.0, 32)),
        ({"type": "linear", "factor": 4}, LinearScaling(4.0)),
        ({"rope_type": "default"}, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_rotary_scaling_in_both_places(
    key: str, section: Any, expected: Any, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    from inference.surgery.importing import import_model

    source = make_hf(changed={key: section})
    import_model(source, tmp_path / "x.apr")
    for path in (source, tmp_path / "x.apr"):
        with open_model(path) as file:
            assert model_config(file).rope_scaling == expected


FLOAT = Kind.FLOAT32


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"scaling.type": ("linear", Kind.STRING, None), "scaling.factor": (2.0, FLOAT, None)}, 2),
        ({"scaling.factor": (2.0, FLOAT, None)}, 2),
        ({"scale_linear": (4.0, FLOAT, None)}, 4),
        ({"scaling.type": ("none", Kind.STRING, None), "scaling.factor": (2.0, FLOAT, None)}, None),
        ({}, None),
    ],
)
def test_rotary_scaling_of_gguf(
    entries: dict[str, Any], expected: Any, make_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    from inference.surgery.importing import import_model

    source = make_gguf(changed={f"qwen2.rope.{key}": entry for key, entry in entries.items()})
    import_model(source, tmp_path / "x.apr")
    for path in (source, tmp_path / "x.apr"):
        with open_model(path) as file:
            scaling = model_config(file).rope_scaling
            assert scaling == (None if expected is None else LinearScaling(expected))


def test_linear_scaling_without_a_factor_is_refused(make_gguf: Callable[..., Path]) -> None:
    changed = {"qwen2.rope.scaling.type": ("linear", Kind.STRING, None)}
    with (
        open_model(make_gguf(changed=changed)) as file,
        pytest.raises(ModelFileError, match=r"'rope\.scaling\.factor' is missing"),
    ):
        model_config(file)


def test_rope_theta_in_the_newer_place(make_hf: Callable[..., Path]) -> None:
    changed = {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
    with open_model(make_hf(changed=changed)) as file:
        assert model_config(file).rope_theta == 5e5


def test_an_untied_model_without_output_matrix_is_refused(make_hf: Callable[..., Path]) -> None:
    from safetensors.numpy import load_file, save_file

    path = make_hf()
    arrays = load_file(path / "model.safetensors")
    del arrays["lm_head.weight"]
    save_file(arrays, path / "model.safetensors")
    with open_model(path) as file, pytest.raises(ModelFileError, match="not tied"):
        model_config(file)
    (path / "config.json").write_text(
        json.dumps(json.loads((path / "config.json").read_text()) | {"tie_word_embeddings": True})
    )
    with open_model(path) as file:
        assert model_config(file).tied_embeddings


def test_an_apr_file_with_the_wrong_rotary_layout_is_refused(
    tiny_apr: Path, tmp_path: Path
) -> None:
    with AprFile(tiny_apr) as file:
        write_apr(tmp_path / "wrong.apr", dict(file.metadata) | {"rope_type": 0}, [])
    with (
        open_model(tmp_path / "wrong.apr") as wrong,
        pytest.raises(ModelFileError, match="rope_type is 0; qwen2 needs 2"),
    ):
        model_config(wrong)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("llama", RopeType.ADJACENT), ("qwen2", RopeType.NEOX), ("mamba", None)],
)
def test_how_gguf_stores_rotary_rows(
    architecture: str, expected: RopeType | None, make_gguf: Callable[..., Path]
) -> None:
    with open_model(make_gguf(architecture=architecture)) as file:
        assert rope_type_of(file) == expected


def test_hf_never_permutes_rotary_rows(make_hf: Callable[..., Path]) -> None:
    with open_model(make_hf(changed={"model_type": "llama"})) as file:
        assert rope_type_of(file) == RopeType.NEOX
