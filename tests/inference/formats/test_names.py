from __future__ import annotations

import pytest
from gguf import MODEL_ARCH, TensorNameMap
from hypothesis import given
from hypothesis import strategies as st

from inference.formats.names import canonical_names, from_hf, layer_of, to_hf
from inference.model.architectures import ARCHITECTURES


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_gguf_package_maps_every_name_the_same_way(architecture: str) -> None:
    mapping = TensorNameMap(MODEL_ARCH[architecture.upper()], 30)
    checked = 0
    for name in canonical_names(architecture, 30, tied=False):
        hf = to_hf(name, architecture)
        assert hf != name
        assert mapping.get_name(hf, try_suffixes=(".weight", ".bias")) == name
        checked += 1
    assert checked == 3 + 30 * len(ARCHITECTURES[architecture].layer_tensors)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@given(layer=st.integers(0, 10**6 - 1))
def test_bijection(architecture: str, layer: int) -> None:
    names = [f"blk.{layer}.{name}" for name in ARCHITECTURES[architecture].layer_tensors]
    back = [from_hf(to_hf(name, architecture), architecture) for name in names]
    assert back == names
    assert len({to_hf(name, architecture) for name in names}) == len(names)
    assert {layer_of(name) for name in names} == {layer}


@pytest.mark.parametrize(
    "name",
    ["rope_freqs.weight", "blk.01.attn_q.weight", "blk.x.attn_q.weight", "blk.0.other", "", "a\nb"],
)
def test_names_outside_the_table_are_their_own(name: str) -> None:
    assert to_hf(name, "qwen2") == name
    assert from_hf(name, "qwen2") == name


def test_unknown_architectures_keep_their_layer_names() -> None:
    assert to_hf("blk.0.attn_q.weight", "mamba") == "blk.0.attn_q.weight"
    assert from_hf("model.layers.0.self_attn.q_proj.weight", "mamba").startswith("model.")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_linear_layer_may_have_a_bias(architecture: str) -> None:
    for part in "qkv":
        hf = f"model.layers.3.self_attn.{part}_proj.bias"
        assert from_hf(hf, architecture) == f"blk.3.attn_{part}.bias"
        assert to_hf(f"blk.3.attn_{part}.bias", architecture) == hf
    assert from_hf("model.layers.0.mlp.down_proj.bias", architecture) == "blk.0.ffn_down.bias"


def test_gemma3_moves_the_second_norm() -> None:
    hf = "model.layers.0.post_attention_layernorm.weight"
    assert from_hf(hf, "qwen2") == "blk.0.ffn_norm.weight"
    assert from_hf(hf, "gemma3") == "blk.0.post_attention_norm.weight"


def test_tied_models_have_no_output_matrix() -> None:
    assert "output.weight" not in set(canonical_names("llama", 1, tied=True))
    assert layer_of("output.weight") is None
