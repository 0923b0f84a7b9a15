"""Procedures of tensor-layout-v1: what is refused, in which words, and what is not."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import quant
from inference.data import TINY_MODEL
from inference.errors import ModelFileError, UnsupportedTypeError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.formats.names import to_hf
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.validate import (
    ContentError,
    ValidatedEmbedding,
    ValidatedVector,
    ValidatedWeight,
)
from inference.kernels import qmatmul
from inference.kernels.qmatmul import fused
from inference.quant import GGMLType, dequantize, formats
from inference.surgery.importing import import_model

Compared = Callable[..., object]
Reader = Callable[[Path], gguf.GGUFReader]
Floats = NDArray[np.float32]

ROWS, COLS = 64, 32
REAL_VOCAB, REAL_HIDDEN, FIRST_TOKEN = 151936, 896, 143620

REGISTRY: Mapping[str, tuple[int, int]] = {
    "Q4_0": (18, 32),
    "Q4_1": (20, 32),
    "Q5_0": (22, 32),
    "Q8_0": (34, 32),
    "Q4_K": (144, 256),
    "Q5_K": (176, 256),
    "Q6_K": (210, 256),
}
"""Types that every projection and the output head must handle: bytes and weights of a block."""


def healthy(rows: int = ROWS, cols: int = COLS, seed: int = 0) -> Floats:
    """Dense random values."""
    return np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)


def construct(kind: str, data: Any) -> object:
    """Build the validated tensor of a kind from data [64, 32]."""
    if kind == "embedding":
        return ValidatedEmbedding(data, ROWS, COLS)
    if kind == "weight":
        return ValidatedWeight(data, ROWS, COLS, "blk.0.ffn_down.weight")
    return ValidatedVector(data.reshape(-1), ROWS * COLS, "blk.0.attn_norm.weight")


def matrices_are_rows_first(gguf_path: Path, gguf_reader: Reader, compared: Compared) -> None:
    """Shapes against the gguf package's, and against the table of projections."""
    theirs = {tensor.name: tensor for tensor in gguf_reader(gguf_path).tensors}
    with open_model(gguf_path) as file:
        config = model_config(file)
        q, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
        table = {
            "model.embed_tokens.weight": (config.vocab, config.hidden),
            "lm_head.weight": (config.vocab, config.hidden),
            "model.norm.weight": (config.hidden,),
            "input_layernorm.weight": (config.hidden,),
            "post_attention_layernorm.weight": (config.hidden,),
            "pre_feedforward_layernorm.weight": (config.hidden,),
            "post_feedforward_layernorm.weight": (config.hidden,),
            "self_attn.q_norm.weight": (config.head_dim,),
            "self_attn.k_norm.weight": (config.head_dim,),
            "self_attn.q_proj.weight": (q, config.hidden),
            "self_attn.k_proj.weight": (kv, config.hidden),
            "self_attn.v_proj.weight": (kv, config.hidden),
            "self_attn.o_proj.weight": (config.hidden, q),
            "mlp.gate_proj.weight": (config.intermediate, config.hidden),
            "mlp.up_proj.weight": (config.intermediate, config.hidden),
            "mlp.down_proj.weight": (config.hidden, config.intermediate),
        }
        assert file.tensors.keys() == theirs.keys()
        for name, info in file.tensors.items():
            in_file = tuple(theirs[name].shape.tolist())
            assert info.shape == in_file[::-1], name
            assert info.nbytes == theirs[name].n_bytes, name
            hf_name = to_hf(name, config.architecture)
            expected = table.get(re.sub(r"^model\.layers\.\d+\.", "", hf_name))
            assert name.endswith(".bias") or info.shape == expected, (hf_name, info.shape)
        compared(len(file.tensors), what="tensors")


def output_head_is_vocab_by_hidden(gguf_path: Path, compared: Compared) -> None:
    """The head's shape against the vocabulary that the tokenizer has."""
    with open_model(gguf_path) as file:
        head = file.tensors.get("output.weight") or file.tensors["token_embd.weight"]
        hidden = model_config(file).hidden
        assert head.shape == (len(tokenizer_spec(file).tokens), hidden)
        size = gguf.quants.quant_shape_to_byte_shape(head.shape, head.dtype)
        assert head.nbytes == size[0] * size[1]
        compared(3, what="sizes")


def answers_are_not_padding(
    gguf_path: Path, load_cached: Callable[..., Any], compared: Compared
) -> None:
    """Continue a prompt greedily, past any end of turn."""
    model = load_cached(gguf_path, "fused")
    ids = model.generate("What is 2+2?", max_tokens=8, ignore_eos=True).ids
    spec = tokenizer_spec(model.file)
    assert len(ids) == 8
    assert len(set(ids)) > 1, f"one token over and over: {ids}"
    assert spec.pad_id not in ids or spec.pad_id == spec.eos_id, f"padding: {ids}"
    assert not any("[PAD" in spec.tokens[token] for token in ids)
    compared(len(ids), what="tokens")


def with_zeros(share: int, seed: int) -> tuple[Floats, float]:
    """Return data with about ``share`` % zeros, no row all zero, and the exact share."""
    data = healthy(seed=seed)
    places = np.random.default_rng(seed).permutation(ROWS * (COLS - 1))[: share * data.size // 100]
    data[places // (COLS - 1), 1 + places % (COLS - 1)] = 0
    return data, 1 - np.count_nonzero(data) / data.size


def embeddings_are_dense(share: int, seed: int, compared: Compared) -> None:
    """Scattered zeros, and the same number at the start."""
    scattered, zeros = with_zeros(share, seed)
    leading = healthy(seed=seed)
    leading.reshape(-1)[: round(zeros * leading.size)] = 0
    for data in (scattered, leading):
        if zeros > 0.5:
            with pytest.raises(ContentError, match="DENSITY FAILURE"):
                construct("embedding", data)
    if zeros <= 0.5:
        construct("embedding", scattered)
    compared(ROWS * COLS, what="values")


def weights_are_dense(share: int, seed: int, compared: Compared) -> None:
    """Scattered zeros on either side of 80 %."""
    data, zeros = with_zeros(share, seed)
    if zeros > 0.8:
        with pytest.raises(ContentError, match="DENSITY FAILURE"):
            construct("weight", data)
    else:
        construct("weight", data)
    compared(data.size, what="values")


def values_are_finite(kind: str, place: int, bad: int, compared: Compared) -> None:
    """Accepted as it is; refused with one NaN or infinity in any place."""
    data = healthy()
    construct(kind, data)
    data.reshape(-1)[place] = (np.nan, np.inf, -np.inf)[bad]
    with pytest.raises(ContentError, match=r"NON-FINITE DATA: .* has 1 NaN or infinite"):
        construct(kind, data)
    compared(data.size, what="values")


def values_vary(kind: str, level: float, compared: Compared) -> None:
    """One value everywhere is no weight; the tiniest values that differ are none either."""
    with pytest.raises(ContentError, match=r"VARIATION|L2|DENSITY"):
        construct(kind, np.full((ROWS, COLS), level, dtype=np.float32))
    with pytest.raises(ContentError, match="L2 FAILURE"):
        construct(kind, healthy() * np.float32(1e-9))
    construct(kind, healthy() + np.float32(level))
    compared(3 * ROWS * COLS, what="values")


def sampled_tokens_are_not_zero(vocab: int, compared: Compared) -> None:
    """Clear one token at a time: those at 10, 50 and 90 % are missed, the embedding is dense."""
    for token in sorted({vocab // 10, vocab // 2, int(0.9 * vocab)}):
        data = healthy(vocab)
        ValidatedEmbedding(data, vocab, COLS)
        data[token] = 0
        with pytest.raises(ContentError, match=f"embedding of token {token} is zero"):
            ValidatedEmbedding(data, vocab, COLS)
        compared(1, what="tokens")


def working_models_are_accepted(gguf_path: Path, compared: Compared) -> None:
    """Expand and validate every tensor."""
    with open_model(gguf_path) as file:
        for name, info in file.tensors.items():
            data = dequantize(file.raw(name), info.dtype, info.shape)
            if name == "token_embd.weight":
                accepted: ValidatedEmbedding | ValidatedWeight | ValidatedVector
                accepted = ValidatedEmbedding(data, *info.shape)
            elif data.ndim == 2:
                accepted = ValidatedWeight(data, *info.shape, name)
            else:
                accepted = ValidatedVector(data, data.size, name)
            assert accepted.data.size == data.size, name
            compared(data.size, what="values")


def zero_embedding_is_refused(compared: Compared) -> None:
    """The embedding of the 0.5B model, all zeros."""
    zeros = np.zeros((REAL_VOCAB, REAL_HIDDEN), dtype=np.float32)
    with pytest.raises(ContentError, match=r"DENSITY FAILURE: embedding is 100\.0% zeros"):
        ValidatedEmbedding(zeros, REAL_VOCAB, REAL_HIDDEN)
    compared(zeros.size, what="values")


def leading_zeros_are_refused(compared: Compared) -> None:
    """Values only from token 143620 on, as in the field."""
    data = np.zeros((REAL_VOCAB, REAL_HIDDEN), dtype=np.float32)
    data[FIRST_TOKEN:] = healthy(REAL_VOCAB - FIRST_TOKEN, REAL_HIDDEN)
    with pytest.raises(ContentError, match=r"DENSITY FAILURE: embedding is 94\.5% zeros"):
        ValidatedEmbedding(data, REAL_VOCAB, REAL_HIDDEN)
    compared(data.size, what="values")


def raw_data_is_no_tensor(compared: Compared) -> None:
    """Lists, bytes, other dtypes and bare arrays are refused; a validated tensor is frozen."""
    refused = 0
    raw_inputs: list[Any] = [
        healthy().tolist(),
        healthy().tobytes(),
        healthy().astype(np.float64),
        healthy().view(np.uint8),
        None,
    ]
    for raw in raw_inputs:
        for build in (
            lambda raw: ValidatedEmbedding(raw, ROWS, COLS),
            lambda raw: ValidatedWeight(raw, ROWS, COLS, "w"),
            lambda raw: ValidatedVector(raw, ROWS * COLS, "v"),
        ):
            with pytest.raises(TypeError, match="a float32 NumPy array is needed"):
                build(raw)
            refused += 1
    raw_array: Any = healthy()
    for make in (inference.load, ValidatedEmbedding, ValidatedWeight):
        with pytest.raises(TypeError):
            make(raw_array)
        refused += 1
    weight: Any = ValidatedWeight(healthy(), ROWS, COLS, "w")
    with pytest.raises(dataclasses.FrozenInstanceError):
        weight.data = healthy()
    compared(refused + 1, what="refusals")


def weight_with_nan_is_refused(compared: Compared) -> None:
    """One NaN among 2048."""
    data = healthy()
    data[63, 31] = np.nan
    with pytest.raises(ContentError, match=r"NON-FINITE DATA: blk\.0\.ffn_down\.weight has 1 NaN"):
        construct("weight", data)
    compared(data.size, what="values")


def patched_head(source: Path, target: Path, name: bytes, layout: str) -> Path:
    """Copy a model file with the two dimensions of its output head exchanged.

    ``layout`` is the struct of what stands between the name and the dimensions.
    """
    data = bytearray(source.read_bytes())
    length = struct.pack("<Q" if layout == "<I" else "<H", len(name))
    at = data.index(length + name) + len(length + name) + struct.calcsize(layout)
    first, second = struct.unpack_from("<QQ", data, at)
    assert first != second
    struct.pack_into("<QQ", data, at, second, first)
    target.write_bytes(data)
    return target


def refusals_of_a_transposed_head(tmp_path: Path) -> dict[str, ModelFileError]:
    """Exchange the head's dimensions in a GGUF and in an APR file, and read both."""
    whole = tmp_path / "whole.apr"
    import_model(TINY_MODEL, whole)
    # GGUF: u32 rank before the dimensions; APR: u8 type and u8 rank.
    files = {
        "output.weight": patched_head(TINY_MODEL, tmp_path / "t.gguf", b"output.weight", "<I"),
        "lm_head.weight": patched_head(whole, tmp_path / "t.apr", b"lm_head.weight", "<BB"),
    }
    errors = {}
    for name, path in files.items():
        with open_model(path) as file, pytest.raises(ModelFileError) as caught:
            model_config(file)
        errors[name] = caught.value
    return errors


def transposed_head_is_refused(tmp_path: Path, compared: Compared) -> None:
    """In a file, and as data."""
    for error in refusals_of_a_transposed_head(tmp_path).values():
        assert "CONTRACT VIOLATION F-LAYOUT-CONTRACT-002" in error.message
        compared(1, what="refusals")
    with pytest.raises(ContentError, match=r"CONTRACT VIOLATION: output\.weight has shape"):
        ValidatedWeight(healthy().T.copy(), ROWS, COLS, "output.weight")
    compared(1, what="refusals")


def both_formats_refuse_alike(tmp_path: Path, compared: Compared) -> None:
    """The words are the same but for the tensor's name in the file."""
    messages = {
        error.message.replace(repr(name), "NAME")
        for name, error in refusals_of_a_transposed_head(tmp_path).items()
    }
    assert len(messages) == 1, messages
    assert "NAME" in messages.pop()
    compared(2, what="messages")


def literal_table(module: ModuleType, name: str) -> set[str]:
    """Return the types that a dispatch table lists in the source; it must be a literal."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name:
            (table,) = (child for child in ast.walk(node) if isinstance(child, ast.Dict))
            assert all(key is not None for key in table.keys), f"{name} unpacks another table"
            return {ast.unparse(key).rpartition(".")[2] for key in table.keys if key}
    raise AssertionError(f"{module.__name__} has no table {name}")


def defaults_of(module: ModuleType, names: set[str]) -> list[str]:
    """Return what in a module could stand in for a missing entry of the tables."""
    found = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Attribute(value=ast.Name(id=table), attr="get" | "setdefault"):
                found += [f"{table}.{node.attr}"] if table in names else []
            case ast.Name(id="defaultdict") | ast.FunctionDef(name="__missing__"):
                found.append(ast.unparse(node))
            case ast.match_case(pattern=ast.MatchAs(pattern=None)):
                found.append("case _")
            case _:
                pass
    return found


def dispatch_has_no_default(compared: Compared) -> None:
    """The tables' source, their content, and what happens to a type that is in none."""
    tables = {
        (fused, "FUSED", qmatmul, "FUSED_KERNELS"): qmatmul.FUSED_KERNELS,
        (formats, "FORMATS", quant, "DECODERS"): quant.DECODERS,
    }
    for (rows, row_table, module, name), table in tables.items():
        assert literal_table(rows, row_table) == {dtype.name for dtype in table}
        assert REGISTRY.keys() <= {dtype.name for dtype in table}
        assert len(set(table.values())) == len(table), f"{name}: two types share a function"
        for place in (rows, module):
            assert not defaults_of(place, {row_table, name, "table"})
        compared(len(table), what="entries")
    for dtype in set(GGMLType) - set(qmatmul.FUSED_KERNELS):
        with pytest.raises(UnsupportedTypeError, match=dtype.name):
            qmatmul.pack(np.zeros(0, dtype=np.uint8), dtype, 0, 256)
        compared(1, what="types")
    for dtype in set(GGMLType) - set(quant.DECODERS):
        with pytest.raises(UnsupportedTypeError, match=dtype.name):
            dequantize(np.zeros(0, dtype=np.uint8), dtype, (0, 256))
        compared(1, what="types")
    for name, sizes in REGISTRY.items():
        dtype = GGMLType[name]
        assert (quant.types.type_size(dtype), quant.types.block_size(dtype)) == sizes
        compared(1, what="sizes")


def wrong_decoder_is_garbage(compared: Compared) -> None:
    """35 Q4_K super-blocks are as long as 24 of Q6_K: read a real tensor as both."""
    with open_model(TINY_MODEL) as file:
        raw = file.raw("blk.0.ffn_down.weight")[: 24 * 210 * 8]
        assert file.tensors["blk.0.ffn_down.weight"].dtype == GGMLType.Q6_K
    truth = gguf.quants.dequantize(raw.reshape(8, -1), GGMLType.Q6_K)
    right = dequantize(raw, GGMLType.Q6_K, (8, 24 * 256))
    wrong = dequantize(raw, GGMLType.Q4_K, (8, 35 * 256))[:, : 24 * 256]
    x = healthy(1, 24 * 256)
    product = qmatmul.qmatmul(raw, GGMLType.Q6_K, 8, 24 * 256, x)
    garbage = qmatmul.qmatmul(raw, GGMLType.Q4_K, 8, 35 * 256, healthy(1, 35 * 256))
    expected = x.astype(np.float64) @ truth.T
    assert relative(right, truth) == 0
    assert relative(product, expected) < 0.02
    assert relative(wrong, truth) > 100
    assert relative(garbage, expected) > 100
    compared(truth.size, what="weights")


def relative(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the relative error in the Euclidean norm, infinite where NaN came out."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected)
    return float("inf") if np.isnan(error) else float(error)
