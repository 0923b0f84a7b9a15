"""What loaded tensors must satisfy before a model is built from them.

Structure: every tensor of the architecture is there, with the shape that the configuration implies
(F-LAYOUT-CONTRACT-001 to 004). Content: an array enters a model only through a validated type,
whose constructor refuses sparse, non-finite or constant data (F-DATA-QUALITY-001 to 004).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.errors import EngineError, ModelFileError
from inference.formats.base import ModelFile
from inference.formats.layout import tensor_nbytes
from inference.formats.names import canonical_names, to_hf
from inference.model.config import ModelConfig

MAX_EMBEDDING_ZEROS = 0.5
MAX_WEIGHT_ZEROS = 0.8
MIN_NORM = 1e-6
SAMPLED_TOKENS = (0.1, 0.5, 0.9)

Floats = NDArray[np.float32]


class ContentError(EngineError):
    """Data that no working model has."""


def expected_shapes(config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the canonical name and the shape, rows first, of every tensor of a model."""
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    hidden, wide = config.hidden, config.intermediate
    shapes = {
        "token_embd.weight": (config.vocab, hidden),
        "output_norm.weight": (hidden,),
        "output.weight": (config.vocab, hidden),
        "attn_norm.weight": (hidden,),
        "attn_q.weight": (query, hidden),
        "attn_q.bias": (query,),
        "attn_q_norm.weight": (config.head_dim,),
        "attn_k.weight": (key, hidden),
        "attn_k.bias": (key,),
        "attn_k_norm.weight": (config.head_dim,),
        "attn_v.weight": (key, hidden),
        "attn_v.bias": (key,),
        "attn_output.weight": (hidden, query),
        "attn_output.bias": (hidden,),
        "post_attention_norm.weight": (hidden,),
        "ffn_norm.weight": (hidden,),
        "ffn_gate.weight": (wide, hidden),
        "ffn_gate.bias": (wide,),
        "ffn_up.weight": (wide, hidden),
        "ffn_up.bias": (wide,),
        "ffn_down.weight": (hidden, wide),
        "ffn_down.bias": (hidden,),
        "post_ffw_norm.weight": (hidden,),
    }
    for name in canonical_names(
        config.architecture, config.layers, tied=config.tied_embeddings, biases=config.biases
    ):
        yield name, shapes[name.split(".", 2)[2] if name.startswith("blk.") else name]
    if config.rope_divisors:
        yield "rope_freqs.weight", (config.head_dim // 2,)


def check_structure(file: ModelFile, config: ModelConfig) -> None:
    """Refuse a file whose tensors are not those of its configuration, by name, shape or size.

    A bias that one layer has and another lacks counts as much as a missing matrix: the model would
    run and be wrong.
    """
    seen = 0
    for name, shape in expected_shapes(config):
        info = file.tensors.get(name)
        if info is None:
            shown = name if file.format == "gguf" else to_hf(name, config.architecture)
            raise ModelFileError(
                file.path, f"tensor {shown!r} of architecture {config.architecture} is missing"
            )
        if info.shape != shape:
            rule = "F-LAYOUT-CONTRACT-" + _broken_rule(name, shape)
            raise ModelFileError(
                file.path,
                f"CONTRACT VIOLATION {rule}: tensor {info.file_name!r} has shape "
                f"{list(info.shape)}; the configuration implies {list(shape)}",
                offset=info.offset,
            )
        if info.nbytes != tensor_nbytes(info.dtype, shape):
            raise ModelFileError(
                file.path,
                f"CONTRACT VIOLATION F-LAYOUT-CONTRACT-004: tensor {info.file_name!r} has "
                f"{info.nbytes:,} bytes; {info.dtype.name} of shape {list(shape)} takes "
                f"{tensor_nbytes(info.dtype, shape):,}",
                offset=info.offset,
            )
        seen += 1
    if seen < len(file.tensors):
        expected = {name for name, _ in expected_shapes(config)}
        extra = sorted(name for name in file.tensors if name not in expected)
        raise ModelFileError(
            file.path,
            f"{len(extra)} tensors are not part of architecture {config.architecture} with "
            f"{config.layers} layers, among them {extra[0]!r}",
        )


def _broken_rule(name: str, shape: tuple[int, ...]) -> str:
    if name == "output.weight":
        return "002"
    return "003" if len(shape) == 1 else "001"


def _checked(data: object, shape: tuple[int, ...], name: str) -> Floats:
    if not isinstance(data, np.ndarray) or data.dtype != np.float32:
        raise TypeError(f"{name}: a float32 NumPy array is needed, not {type(data).__name__}")
    if min(shape) <= 0 or data.size != np.prod(shape, dtype=object) or data.ndim > len(shape):
        raise ContentError(
            f"CONTRACT VIOLATION: {name} has shape {list(data.shape)}; expected {list(shape)}"
        )
    if data.ndim == len(shape) and data.shape != shape:
        raise ContentError(
            f"CONTRACT VIOLATION: {name} has shape {list(data.shape)}; expected {list(shape)}"
        )
    data = data.reshape(shape)
    if not np.isfinite(data).all():
        bad = int(data.size - np.count_nonzero(np.isfinite(data)))
        raise ContentError(f"NON-FINITE DATA: {name} has {bad:,} NaN or infinite values")
    return data


def _check_density(data: Floats, limit: float, name: str) -> None:
    zeros = 1.0 - np.count_nonzero(data) / data.size
    if zeros > limit:
        raise ContentError(
            f"DENSITY FAILURE: {name} is {zeros:.1%} zeros; at most {limit:.0%} is plausible"
        )


def _check_spread(data: Floats, name: str) -> None:
    norm = float(np.linalg.norm(data.reshape(-1)))
    if norm <= MIN_NORM:
        raise ContentError(f"L2 FAILURE: the norm of {name} is {norm:.3g}")
    if data.size > 1 and data.min() == data.max():
        raise ContentError(f"VARIATION FAILURE: every value of {name} is {data.flat[0]:.6g}")


@dataclass(frozen=True, slots=True, eq=False)
class ValidatedEmbedding:
    """A token embedding, float32 [vocab, hidden], that can belong to a working model."""

    data: Floats
    vocab: int
    hidden: int

    def __post_init__(self) -> None:
        data = _checked(self.data, (self.vocab, self.hidden), "embedding")
        _check_density(data, MAX_EMBEDDING_ZEROS, "embedding")
        _check_spread(data, "embedding")
        for place in SAMPLED_TOKENS:
            token = int(place * self.vocab)
            if float(np.linalg.norm(data[token])) <= MIN_NORM:
                raise ContentError(f"L2 FAILURE: embedding of token {token} is zero")
        object.__setattr__(self, "data", data)


@dataclass(frozen=True, slots=True, eq=False)
class ValidatedWeight:
    """A projection, float32 [out_dim, in_dim], that can belong to a working model."""

    data: Floats
    out_dim: int
    in_dim: int
    name: str

    def __post_init__(self) -> None:
        data = _checked(self.data, (self.out_dim, self.in_dim), self.name)
        _check_density(data, MAX_WEIGHT_ZEROS, self.name)
        _check_spread(data, self.name)
        object.__setattr__(self, "data", data)


@dataclass(frozen=True, slots=True, eq=False)
class ValidatedVector:
    """A norm weight or a bias, float32 [length], with finite values."""

    data: Floats
    length: int
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _checked(self.data, (self.length,), self.name))
