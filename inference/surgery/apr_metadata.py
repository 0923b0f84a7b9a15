"""The metadata of an APR file made from a model in another format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from math import prod
from typing import Any

from inference.formats.apr.gguf_origin import keep_gguf
from inference.formats.apr.hf_origin import keep_hf
from inference.formats.base import ModelFile
from inference.formats.config import architecture_of, rope_type_of, stated_hyperparameters
from inference.formats.gguf.reader import GgufFile
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import OF_THE_FILE, TokenizerSpec
from inference.quant.types import TensorType, block_size, type_size
from inference.surgery.checking import refuse_unexpressed


def apr_metadata(file: ModelFile) -> dict[str, Any]:
    """Return what an APR file says of a model, in its own words and in those of the source.

    ``TokenizerError`` when the source carries no usable tokenizer, or one that APR cannot name.
    """
    if file.format == "apr":
        return dict(file.metadata)
    architecture = architecture_of(file)
    spec = tokenizer_spec(file)
    refuse_unexpressed(file, spec, "an APR file")
    metadata: dict[str, Any] = {
        "model_type": architecture,
        "architecture": architecture,
        "name": file.metadata.get("general.name", file.path.stem),
        "source": file.path.name,
        "original_format": file.format,
        "param_count": sum(prod(info.shape) for info in file.tensors.values()),
        "total_size": sum(info.nbytes for info in file.tensors.values()),
        **stated_hyperparameters(file),
        "special_tokens": {
            f"{name}_token": spec.tokens[number]
            for name, number in _special_ids(spec)
            if number is not None
        },
        "tokenizer": _tokenizer_section(spec),
    }
    if (rope := rope_type_of(file)) is not None:
        metadata["rope_type"] = int(rope)
    if spec.chat_template is not None:
        metadata["chat_template"] = spec.chat_template
    if isinstance(file, GgufFile):
        metadata["gguf"] = keep_gguf(file, metadata)
    else:
        metadata["hf"] = keep_hf(file, spec)
    return metadata


def quantization_section(dtype: TensorType) -> dict[str, Any]:
    """Return what APR metadata say of the type that weights were quantized to."""
    return {
        "quant_type": dtype.name,
        "bits": 8 * type_size(dtype) / block_size(dtype),
        "block_size": block_size(dtype),
        "symmetric": not dtype.name.endswith(("_1", "Q4_K", "Q5_K")),
    }


def _special_ids(spec: TokenizerSpec) -> Iterator[tuple[str, int | None]]:
    yield from (
        ("bos", spec.bos_id),
        ("eos", spec.eos_id),
        ("unk", spec.unk_id),
        ("pad", spec.pad_id),
    )


def _tokenizer_section(spec: TokenizerSpec) -> dict[str, Any]:
    elsewhere = {"chat_template", *OF_THE_FILE}
    return {
        field.name: value
        for field in fields(spec)
        if field.name not in elsewhere and (value := getattr(spec, field.name)) is not None
    }
