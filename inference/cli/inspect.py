"""`apr inspect`: what a model file says about itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import typer

from inference.cli.common import JsonOption, ModelArgument, model_path, print_json
from inference.errors import TokenizerError, UnsupportedArchitectureError, UnsupportedFormatError
from inference.formats import ModelFile, TensorInfo, open_model
from inference.formats.config import architecture_of, model_config
from inference.formats.tokenizer import tokenizer_spec

EXAMPLES = """
apr inspect model.gguf
apr inspect model.apr --json --tensors
"""

_LONGEST_LIST = 16
_LONGEST_TEXT = 96
_DEEPEST = 6


def app_command(
    model: ModelArgument,
    as_json: JsonOption = False,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
) -> None:
    """Show format, architecture, element types, metadata and tokenizer of a model file."""
    with open_model(model_path(model)) as file:
        document = describe(file, tensors=tensors)
    if as_json:
        print_json(document)
    else:
        for line in _lines(document):
            typer.echo(printable(line))


def describe(file: ModelFile, *, tensors: bool = False) -> dict[str, Any]:
    """Return what `apr inspect --json` prints; long lists are given by their length."""
    infos = list(file.tensors.values())
    document: dict[str, Any] = {
        "path": str(file.path),
        "format": file.format,
        "architecture": architecture_of(file),
        "tensor_count": len(infos),
        "parameter_count": sum(math.prod(info.shape) for info in infos),
        "tensor_bytes": sum(info.nbytes for info in infos),
        "types": _types(infos),
        "config": _config(file),
        "tokenizer": _tokenizer(file),
        "metadata": {_summary(key): _summary(value) for key, value in file.metadata.items()},
    }
    if tensors:
        document["tensors"] = [described(info) for info in infos]
    return document


def described(info: TensorInfo) -> dict[str, Any]:
    """Return a tensor's entry as `apr inspect` and `apr tensors` print it."""
    return {
        "name": info.name,
        "file_name": info.file_name,
        "shape": list(info.shape),
        "type": info.dtype.name,
        "offset": info.offset,
        "bytes": info.nbytes,
    }


def _types(infos: list[TensorInfo]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for info in infos:
        row = table.setdefault(info.dtype.name, {"tensors": 0, "bytes": 0})
        row["tensors"] += 1
        row["bytes"] += info.nbytes
    return dict(sorted(table.items(), key=lambda item: -item[1]["bytes"]))


def _config(file: ModelFile) -> dict[str, Any]:
    try:
        config = dataclasses.asdict(model_config(file))
    except (UnsupportedArchitectureError, UnsupportedFormatError) as error:
        return {"unsupported": str(error)}
    return config | {"rope_type": config["rope_type"].name.lower()}


def _tokenizer(file: ModelFile) -> dict[str, Any]:
    try:
        spec = tokenizer_spec(file)
    except TokenizerError as error:
        return {"unusable": str(error)}
    return {
        "model": spec.model,
        "pre": spec.pre,
        "tokens": len(spec.tokens),
        "merges": len(spec.merges),
        "bos_id": spec.bos_id,
        "eos_id": spec.eos_id,
        "unk_id": spec.unk_id,
        "pad_id": spec.pad_id,
        "add_bos": spec.add_bos,
        "add_eos": spec.add_eos,
        "chat_template": spec.chat_template is not None,
    }


def _summary(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON can show it: short, finite and valid UTF-8."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= _LONGEST_LIST else f"[{value.size:,} values]"
    if depth > _DEEPEST and isinstance(value, list | Mapping):
        return "…"
    if isinstance(value, list):
        if len(value) > _LONGEST_LIST:
            return f"[{len(value):,} values]"
        return [_summary(element, depth + 1) for element in value]
    if isinstance(value, Mapping):
        if len(value) > 4 * _LONGEST_LIST:
            return f"{{{len(value):,} keys}}"
        return {_summary(str(key)): _summary(element, depth + 1) for key, element in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode(errors="surrogatepass").decode(errors="replace")
    return value


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"{document['path']}: {document['format']}, architecture {document['architecture']}"
    yield (
        f"{document['tensor_count']} tensors, {document['parameter_count']:,} parameters, "
        f"{document['tensor_bytes']:,} bytes"
    )
    yield ""
    for name, row in document["types"].items():
        yield f"  {name:<8} {row['tensors']:>5} tensors {row['bytes']:>15,} bytes"
    for title in ("config", "tokenizer", "metadata"):
        yield ""
        yield title
        yield from (f"  {key} = {_short(value)}" for key, value in document[title].items())
    if "tensors" in document:
        yield ""
        yield "tensors"
        for tensor in document["tensors"]:
            shape = " × ".join(str(size) for size in tensor["shape"])
            yield f"  {tensor['file_name']:<44} {tensor['type']:<6} {shape}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text):,} long)"


def printable(text: str) -> str:
    """Escape what a terminal would obey: a file's texts are not to be trusted."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
