"""Biases of linear layers are added where a model has them, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference.errors import UnsupportedFormatError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.formats.overlay import tensor_values
from inference.model.architectures import BIASES
from inference.surgery.converting import convert_model

SIZES = {"attn_q": 64, "attn_k": 32, "attn_v": 32, "attn_output": 64}
SIZES |= {"ffn_gate": 96, "ffn_up": 96, "ffn_down": 64}


def with_biases(make_hf: Callable[..., Path], names: list[str], model_type: str) -> Path:
    """Return a directory with just these biases in each of its two layers."""
    rng = np.random.default_rng(7)
    tensors: dict[str, Any] = {}
    for layer in range(2):
        for name, hf in BIASES.items():
            values = rng.normal(0, 0.5, SIZES[name.removesuffix(".bias")]).astype(np.float32)
            tensors[f"model.layers.{layer}.{hf}"] = values if name in names else None
    return make_hf(changed={"model_type": model_type}, tensors=tensors)


def of_one_token(path: Path, token: int) -> NDArray[np.float64]:
    """Return the logits of a text of one token in float64: no rotation, attention to itself."""
    with open_model(path) as file:
        c = model_config(file)

        def t(name: str) -> NDArray[np.float64]:
            return tensor_values(file, name).astype(np.float64)

        def linear(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
            bias = f"{name}.bias"
            return t(f"{name}.weight") @ x + (t(bias) if bias in file.tensors else 0.0)

        def norm(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
            return x / np.sqrt(np.mean(x * x) + c.rms_norm_eps) * t(name)

        x = t("token_embd.weight")[token]
        for layer in range(c.layers):
            of = f"blk.{layer}."
            n = norm(of + "attn_norm.weight", x)
            v = linear(of + "attn_v", n).reshape(c.kv_heads, c.head_dim)
            x = x + linear(of + "attn_output", v.repeat(c.heads // c.kv_heads, 0).reshape(-1))
            n = norm(of + "ffn_norm.weight", x)
            gate, up = linear(of + "ffn_gate", n), linear(of + "ffn_up", n)
            x = x + linear(of + "ffn_down", gate / (1 + np.exp(-gate)) * up)
        head = "output.weight" if "output.weight" in file.tensors else "token_embd.weight"
        return t(head) @ norm("output_norm.weight", x)


@pytest.mark.parametrize("model_type", ["llama", "qwen2"])
@pytest.mark.parametrize(
    "names",
    [[], ["attn_v.bias"], ["attn_output.bias"], ["ffn_gate.bias", "ffn_up.bias"], [*BIASES]],
    ids=lambda names: ",".join(names) or "none",
)
def test_present_biases_are_added(
    model_type: str, names: list[str], make_hf: Callable[..., Path]
) -> None:
    path = with_biases(make_hf, names, model_type)
    with inference.load(path, numerics="f32") as model:
        assert set(model.config.biases) == set(names)
        found = model.forward([3])[-1]
    expected = of_one_token(path, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("names", [["attn_q.bias", "attn_k.bias"], [*BIASES]])
def test_biases_survive_a_conversion(
    names: list[str], make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    """Llama's rows of q and k are permuted in GGUF, their biases with them."""
    path = with_biases(make_hf, names, "llama")
    convert_model(path, tmp_path / "x.gguf", format="gguf")
    convert_model(tmp_path / "x.gguf", tmp_path / "back", format="hf")
    ids = [3, 9, 20]
    logits = []
    for where in (path, tmp_path / "x.gguf", tmp_path / "back"):
        with inference.load(where, numerics="f32") as model:
            logits.append(model.forward(ids))
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], rtol=0, atol=1e-5)


def test_a_class_without_a_place_for_a_bias_is_not_written(
    make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    """Transformers would leave it out without a word."""
    path = with_biases(make_hf, ["attn_output.bias"], "qwen2")
    convert_model(path, tmp_path / "x.gguf", format="gguf")
    with pytest.raises(UnsupportedFormatError, match=r"Qwen2ForCausalLM.*attn_output\.bias"):
        convert_model(tmp_path / "x.gguf", tmp_path / "back", format="hf")
    assert not (tmp_path / "back").exists()
