"""Import of GGUF files and Hugging Face directories into APR v2, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from inference.errors import EngineError, ModelFileError, TokenizerError, UnsupportedFormatError
from inference.formats import ModelFile, open_model
from inference.formats.apr import AprFile
from inference.formats.apr_writer import write_apr
from inference.formats.base import TensorInfo
from inference.formats.config import (
    architecture_of,
    model_config,
    rope_type_of,
    stated_hyperparameters,
)
from inference.formats.gguf import GgufFile
from inference.formats.hf_tokenizer import UNKNOWN_PRE
from inference.formats.names import to_hf
from inference.formats.origin import keep_gguf
from inference.formats.tokenizer_spec import TokenizerSpec, tokenizer_spec
from inference.formats.writing import Pieces, TensorSource
from inference.model.architectures import ARCHITECTURES

PIECE = 1 << 22

Progress = Callable[[str, int, int], None]
"""Called with the tensor's name, the bytes done and the bytes in all."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import wrote; ``digests`` maps canonical names to SHA-256 of the packed bytes."""

    source: Path
    target: Path
    architecture: str
    tensors: int
    nbytes: int
    digests: dict[str, str]


def import_model(
    source: str | Path, target: str | Path, *, progress: Progress | None = None
) -> ImportReport:
    """Import a GGUF file or a Hugging Face directory as the APR v2 file ``target``.

    Every tensor keeps its bytes and its type; the digests of source and target are compared before
    the target takes its place. Tokenizer and metadata are embedded. ``ModelFileError`` or
    ``TokenizerError`` when the source is damaged or carries no usable tokenizer; the target is then
    left as it was.
    """
    source, target = Path(source), Path(target)
    with open_model(source) as file:
        if file.format == "apr":
            raise UnsupportedFormatError(source, "is an APR file already")
        _check_target(source, target)
        metadata = _metadata(file)
        digests: dict[str, str] = {}
        write_apr(
            target,
            metadata,
            _sources(file, metadata["architecture"], digests, progress),
            check=lambda written: _compare(file, written, digests),
        )
        return ImportReport(
            source,
            target,
            metadata["architecture"],
            len(file.tensors),
            target.stat().st_size,
            digests,
        )


def _check_target(source: Path, target: Path) -> None:
    if target.is_dir():
        raise ModelFileError(target, "cannot be the target: it is a directory")
    inside = source.is_dir() and target.resolve().parent == source.resolve()
    if (inside and target.suffix != ".apr") or target.resolve() == source.resolve():
        raise ModelFileError(target, "cannot be the target: it is a part of the source")


def _metadata(file: ModelFile) -> dict[str, Any]:
    architecture = architecture_of(file)
    if architecture in ARCHITECTURES:
        model_config(file)
    spec = tokenizer_spec(file)
    if spec.pre == UNKNOWN_PRE:
        raise TokenizerError(f"{file.path}: its pre-tokenizer is not one that an APR file can name")
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
        metadata["hf"] = {"config": dict(file.metadata)}
    return metadata


def _special_ids(spec: TokenizerSpec) -> Iterator[tuple[str, int | None]]:
    yield from (
        ("bos", spec.bos_id),
        ("eos", spec.eos_id),
        ("unk", spec.unk_id),
        ("pad", spec.pad_id),
    )


def _tokenizer_section(spec: TokenizerSpec) -> dict[str, Any]:
    elsewhere = {"chat_template", "tokenizer_json"}
    return {
        field.name: value
        for field in fields(spec)
        if field.name not in elsewhere and (value := getattr(spec, field.name)) is not None
    }


def _sources(
    file: ModelFile, architecture: str, digests: dict[str, str], progress: Progress | None
) -> Iterator[TensorSource]:
    total = sum(info.nbytes for info in file.tensors.values())
    done = 0

    def pieces(info: TensorInfo) -> Pieces:
        nonlocal done
        digest = hashlib.sha256()
        for piece in _pieces(file, info):
            digest.update(piece)
            yield piece
        digests[info.name] = digest.hexdigest()
        done += info.nbytes
        if progress is not None:
            progress(info.name, done, total)

    for info in file.tensors.values():
        name = to_hf(info.name, architecture)
        yield TensorSource(name, info.dtype, info.shape, partial(pieces, info))


def _pieces(file: ModelFile, info: TensorInfo) -> Iterator[memoryview]:
    raw = file.raw(info.name).data
    for start in range(0, len(raw), PIECE):
        yield raw[start : start + PIECE]


def _compare(source: ModelFile, written: AprFile, digests: dict[str, str]) -> None:
    """Refuse a written file that is not the source: names, types, shapes, and bytes by digest."""
    if not digests or written.tensors.keys() != source.tensors.keys():
        raise EngineError(f"{written.path}: the tensors written are not those of {source.path}")
    for name, info in source.tensors.items():
        other = written.tensors[name]
        digest = hashlib.sha256(written.raw(name).data).hexdigest()
        if (other.shape, other.dtype, digest) != (info.shape, info.dtype, digests[name]):
            raise EngineError(f"{written.path}: tensor {name!r} is not what {source.path} has")
