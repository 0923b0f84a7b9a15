"""GGUF metadata of a model: its own, kept, or made of its hyper-parameters and tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from gguf.constants import GGUFValueType as Kind
from gguf.constants import LlamaFileType

from inference.formats.apr.gguf_origin import gguf_origin
from inference.formats.base import ModelFile
from inference.formats.config.sliding import LOCAL_THETA
from inference.formats.gguf.metadata import GgufMetadata
from inference.formats.gguf.reader import GgufFile
from inference.formats.gguf.tokenizer import END_KEYS, GGUF_KEYS, GGUF_TYPES
from inference.formats.tokenizer_spec import LISTS, TokenizerSpec
from inference.model.architectures import ARCHITECTURES
from inference.model.config import LinearScaling, ModelConfig
from inference.surgery.checking import refuse_unexpressed

Entry = tuple[str, Any, tuple[Kind, ...]]

_SIZES = (
    "layers",
    "context_length",
    "hidden",
    "intermediate",
    "heads",
    "kv_heads",
    "head_dim",
    "vocab",
)
_QUANTIZATION_VERSION = 2


def gguf_metadata_of(file: ModelFile) -> GgufMetadata | None:
    """Return the GGUF metadata that a file is or keeps, ``None`` when it came from elsewhere."""
    if isinstance(file, GgufFile):
        return GgufMetadata(
            file.version,
            file.alignment,
            file.metadata,
            file.metadata_types,
            list(file.tensors),
        )
    return gguf_origin(file) if file.format == "apr" else None


def made_gguf_metadata(
    file: ModelFile, config: ModelConfig, spec: TokenizerSpec, tensor_order: Sequence[str]
) -> GgufMetadata:
    """Return GGUF metadata for a model of any other origin.

    ``TokenizerError`` when llama.cpp has no name for the pre-tokenizer.
    """
    entries = [*_general(file, config), *_hyperparameters(config), *_tokenizer(file, spec)]
    return GgufMetadata(
        version=3,
        alignment=32,
        values={key: value for key, value, _ in entries},
        types={key: kind for key, _, kind in entries},
        tensor_order=list(tensor_order),
    )


def with_file_type(whole: GgufMetadata, type_name: str) -> GgufMetadata:
    """Return the metadata with the file type that most tensors now have, where GGUF names it."""
    names = f"MOSTLY_{type_name}", f"MOSTLY_{type_name}_S", f"ALL_{type_name}"
    number = next(
        (LlamaFileType[name] for name in names if name in LlamaFileType.__members__), None
    )
    metadata, types = dict(whole.values), dict(whole.types)
    metadata.pop("general.file_type", None)
    types.pop("general.file_type", None)
    stated: list[Entry] = [
        ("general.quantization_version", _QUANTIZATION_VERSION, (Kind.UINT32,)),
    ]
    if number is not None:
        stated.append(("general.file_type", int(number), (Kind.UINT32,)))
    for key, value, kind in stated:
        metadata[key], types[key] = value, kind
    return GgufMetadata(whole.version, whole.alignment, metadata, types, whole.tensor_order)


def _general(file: ModelFile, config: ModelConfig) -> Iterator[Entry]:
    name = file.metadata.get("name") if file.format == "apr" else None
    yield "general.architecture", config.architecture, (Kind.STRING,)
    yield "general.type", "model", (Kind.STRING,)
    yield "general.name", name if isinstance(name, str) else file.path.name, (Kind.STRING,)


def _hyperparameters(config: ModelConfig) -> Iterator[Entry]:
    row = ARCHITECTURES[config.architecture]

    def key(field: str) -> str:
        return f"{config.architecture}.{row.keys[field].gguf}"

    for field in _SIZES:
        yield key(field), getattr(config, field), (Kind.UINT32,)
    yield key("value_dim"), config.head_dim, (Kind.UINT32,)
    yield key("rotated"), config.head_dim, (Kind.UINT32,)
    for field in ("rope_theta", "rms_norm_eps"):
        yield key(field), getattr(config, field), (Kind.FLOAT32,)
    if isinstance(config.rope_scaling, LinearScaling):
        yield key("rope_scaling"), "linear", (Kind.STRING,)
        yield key("rope_factor"), config.rope_scaling.factor, (Kind.FLOAT32,)
    if config.sliding is None:
        return
    yield key("sliding_tokens"), config.sliding.tokens, (Kind.UINT32,)
    if config.sliding.rope_theta != LOCAL_THETA:
        yield key("sliding_theta"), config.sliding.rope_theta, (Kind.FLOAT32,)
    slides = [layer in config.sliding.layers for layer in range(config.layers)]
    pattern = row.sliding_pattern or 1
    if slides != [(layer + 1) % pattern != 0 for layer in range(config.layers)]:
        yield key("sliding_layers"), slides, (Kind.ARRAY, Kind.BOOL)


def _tokenizer(file: ModelFile, spec: TokenizerSpec) -> Iterator[Entry]:
    refuse_unexpressed(file, spec, "GGUF")
    for field in fields(spec):
        if field.name not in GGUF_KEYS:
            continue
        value = getattr(spec, field.name)
        if field.name == "scores" and not value and spec.model == "llama":
            value = _scores(spec)
        if value is None or (field.name in {*LISTS, "nfc"} and not value):
            continue
        yield GGUF_KEYS[field.name], value, GGUF_TYPES[field.name]
    for key, token in zip(END_KEYS, spec.end_ids, strict=False):
        yield key, token, (Kind.UINT32,)


def _scores(spec: TokenizerSpec) -> list[float]:
    """Return scores that rank merges as their list does: SentencePiece readers go by them."""
    rank: dict[str, int] = {}
    for number, merge in enumerate(spec.merges):
        rank.setdefault(merge.replace(" ", "", 1), number)
    last = len(spec.merges)
    return [-float(rank.get(token, last)) for token in spec.tokens]
