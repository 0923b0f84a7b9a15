"""What converters change on the way: the same model as GGUF, as APR, and as Hugging Face's files.

The GGUF files are written here as llama.cpp's converter does: permuted rows of q and k for llama,
divisors for llama3's scaled frequencies, norm weights with gemma3's one added. What it changes is
stated here a second time, by config.json's ``model_type``, so that the table of architectures does
not judge itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from numpy.typing import NDArray

import inference
from inference import Model
from inference.formats import ModelFile
from inference.formats.overlay import tensor_values
from inference.model.architectures import ARCHITECTURES
from inference.surgery.importing import import_model

TINY = Path(__file__).parents[2] / "golden" / "tiny"
IDS = [(i * 37 + 5) % 512 for i in range(64)]
PERMUTED = {"llama"}
"""LlamaModel.permute of convert_hf_to_gguf.py, and the classes that inherit it."""
ONE_ADDED = {"gemma3_text"}
"""Gemma3Model.modify_tensors."""


def tensors_of_gguf(file: ModelFile, config: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Return the tensors as llama.cpp's converter would write them."""
    model_type = config["model_type"]
    found = {}
    for name in file.tensors:
        values = tensor_values(file, name)
        if model_type in PERMUTED and name.endswith(("attn_q.weight", "attn_k.weight")):
            kind = "attention" if "attn_q" in name else "key_value"
            heads = config[f"num_{kind}_heads"]
            rows = values.reshape(heads, 2, -1, values.shape[1])
            values = np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(values.shape)
        if model_type in ONE_ADDED and name.endswith("norm.weight"):
            values = values + np.float32(1.0)
        found[name] = values
    if (config.get("rope_scaling") or {}).get("rope_type") == "llama3":
        found["rope_freqs.weight"] = llama3_divisors(config)
    return found


def llama3_divisors(config: dict[str, Any]) -> NDArray[np.float32]:
    scaling = config["rope_scaling"]
    context = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    divisors = []
    for k in range(0, config["head_dim"], 2):
        wave = 2 * math.pi * config["rope_theta"] ** (k / config["head_dim"])
        if wave < context / high:
            divisors.append(1.0)
        elif wave > context / low:
            divisors.append(scaling["factor"])
        else:
            smooth = (context / wave - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(divisors, np.float32)


def write_gguf(source: Path, target: Path) -> Path:
    """Write a Hugging Face directory as float32 GGUF, with a vocabulary of no meaning."""
    config = json.loads((source / "config.json").read_text())
    rope = config.get("rope_parameters", config)
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer = GGUFWriter(target, config["model_type"].removesuffix("_text"))
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if "layer_types" in config:
        writer.add_sliding_window(config["sliding_window"])
        sliding = [kind == "sliding_attention" for kind in config["layer_types"]]
        writer.add_sliding_window_pattern(sliding)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"t{i}" for i in range(config["vocab_size"])])
    writer.add_token_merges(["t 1"])
    writer.add_token_types([1] * config["vocab_size"])
    with inference.load(source, numerics="f32") as model:
        for name, values in tensors_of_gguf(model.file, config).items():
            writer.add_tensor(name, values)
    with closing(writer):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return target


@pytest.fixture(scope="session", params=sorted(ARCHITECTURES))
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    return write_gguf(TINY / request.param, folder / f"{request.param}.gguf")


def test_gguf_gives_the_logits_of_the_source(
    converted: Path, tiny_of: Callable[[str], Model]
) -> None:
    expected = tiny_of(converted.stem).forward(IDS)
    with inference.load(converted, numerics="f32") as model:
        np.testing.assert_allclose(model.forward(IDS), expected, rtol=0, atol=1e-4)


def test_apr_of_gguf_gives_the_same_bits(converted: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.apr"
    import_model(converted, target)
    with (
        inference.load(converted, numerics="f32") as source,
        inference.load(target, numerics="f32") as apr,
    ):
        assert apr.config == source.config
        np.testing.assert_array_equal(apr.forward(IDS), source.forward(IDS))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_apr_of_a_directory_gives_the_same_bits(
    architecture: str, tiny_of: Callable[[str], Model], tmp_path: Path
) -> None:
    import_model(TINY / architecture, tmp_path / "x.apr")
    source = tiny_of(architecture)
    with inference.load(tmp_path / "x.apr", numerics="f32") as apr:
        assert apr.config == source.config
        np.testing.assert_array_equal(apr.forward(IDS), source.forward(IDS))
