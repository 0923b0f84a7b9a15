from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, GGUFReader, GGUFValueType, GGUFWriter, TensorNameMap
from gguf.quants import dequantize
from safetensors.numpy import load_file

from inference.data import TINY_MODEL
from inference.formats.apr.gguf_origin import gguf_origin
from inference.formats.apr.reader import AprFile
from inference.formats.config import model_config
from inference.formats.gguf.reader import GgufFile
from inference.formats.layout import swap
from inference.formats.names import canonical_names, from_hf, to_hf
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.validate import expected_shapes
from inference.model.architectures import BIASES
from inference.surgery.converting import convert_model
from inference.surgery.importing import import_model
from pytest_contracts.symbolic import Draws

Compared = Callable[..., object]
Reader = Callable[[Path], GGUFReader]

NAMED_LAYERS = 3
BIASED = {"qwen2": {"attn_q.bias", "attn_k.bias", "attn_v.bias"}}
"""Whose projections have biases, by the papers: no reader can vouch for itself."""


def names_are_a_bijection(architecture: str, compared: Compared) -> None:
    """No two names collide, and the gguf package's converters map each back to ours."""
    names = list(canonical_names(architecture, NAMED_LAYERS, tied=False, biases=BIASES))
    hf_names = [to_hf(name, architecture) for name in names]
    assert len(set(hf_names)) == len(names)
    assert [from_hf(name, architecture) for name in hf_names] == names
    theirs = TensorNameMap(MODEL_ARCH[architecture.upper()], NAMED_LAYERS)
    back = [theirs.get_name(name, try_suffixes=(".weight", ".bias")) for name in hf_names]
    assert back == names
    biases = [name for name in hf_names if name.endswith(".bias")]
    assert len(biases) == 7 * NAMED_LAYERS
    compared(len(names), what="names")


@contextmanager
def imported(gguf_path: Path, tmp_path: Path) -> Iterator[AprFile]:
    """Import a GGUF file for one check; the copy is as large as the model, so it goes at once."""
    target = tmp_path / "imported.apr"
    import_model(gguf_path, target)
    try:
        with AprFile(target, verify=True) as file:
            yield file
    finally:
        target.unlink()


def import_is_lossless(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Name, type, shape and bytes of every tensor are the same on both sides of the import."""
    with GgufFile(gguf_path) as source, imported(gguf_path, tmp_path) as target:
        architecture = source.metadata["general.architecture"]
        assert target.tensors.keys() == source.tensors.keys()
        for name, info in source.tensors.items():
            other = target.tensors[name]
            assert other.file_name == to_hf(name, architecture), name
            assert (other.dtype, other.shape) == (info.dtype, info.shape), name
            assert np.array_equal(source.raw(name), target.raw(name)), f"bytes of {name}"
            compared(info.nbytes, what="bytes of tensors")


def every_format_gives_the_same_model(gguf_path: Path, apr_path: Path, compared: Compared) -> None:
    """Configuration, tokenizer and the set of tensors do not depend on the format."""
    with GgufFile(gguf_path) as one, AprFile(apr_path) as other:
        config = model_config(one)
        assert model_config(other) == config
        assert tokenizer_spec(other) == tokenizer_spec(one)
        expected = {name for name, _ in expected_shapes(config)}
        assert set(one.tensors) == set(other.tensors) == expected
        biases = {name.split(".", 2)[2] for name in other.tensors if name.endswith(".bias")}
        assert biases == set(config.biases) >= BIASED.get(config.architecture, set())
        compared(len(expected), what="tensors by name")


def gguf_comes_back_from_apr(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """What the gguf package writes from the APR file alone says what the first file said."""
    rebuilt = tmp_path / "rebuilt.gguf"
    with imported(gguf_path, tmp_path) as target:
        write_gguf(target, rebuilt)
    same_gguf(gguf_path, rebuilt, compared)


def export_gives_the_first_file_back(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Our own way back, with our own writer: APR, plain or compressed or in pieces, to GGUF."""
    ways: list[dict[str, Any]] = [
        {},
        {"compression": "lz4"},
        {"compression": "zstd", "max_shard_size": max(1, gguf_path.stat().st_size // 4)},
    ]
    for number, way in enumerate(ways):
        middle, rebuilt = tmp_path / f"{number}.apr", tmp_path / "rebuilt.gguf"
        convert_model(gguf_path, middle, format="apr", **way)
        convert_model(middle, rebuilt, format="gguf")
        shutil.rmtree(middle) if middle.is_dir() else middle.unlink()
        same_gguf(gguf_path, rebuilt, compared)


def same_gguf(one: Path, rebuilt: Path, compared: Compared) -> None:
    """Compare two GGUF files value by value and byte by byte; the second goes, being large."""
    try:
        with GgufFile(one) as before, GgufFile(rebuilt) as after:
            assert list(after.metadata) == list(before.metadata)
            assert after.metadata_types == before.metadata_types
            for key, value in before.metadata.items():
                assert same(after.metadata[key], value), key
            assert list(after.tensors) == list(before.tensors)
            for name, info in before.tensors.items():
                assert (after.tensors[name].dtype, after.tensors[name].shape) == (
                    info.dtype,
                    info.shape,
                )
                assert np.array_equal(after.raw(name), before.raw(name)), f"bytes of {name}"
                compared(info.nbytes, what="bytes of tensors")
    finally:
        rebuilt.unlink()


def safetensors_hold_what_the_blocks_mean(tmp_path: Path, compared: Compared) -> None:
    """The gguf package expands the small model's blocks, the safetensors library reads the rest."""
    convert_model(TINY_MODEL, tmp_path / "hf", format="hf", max_shard_size=4_000_000)
    found: dict[str, Any] = {}
    for shard in sorted((tmp_path / "hf").glob("*.safetensors")):
        found |= load_file(shard)
    tensors = GGUFReader(TINY_MODEL).tensors
    assert len(found) == len(tensors)
    for tensor in tensors:
        values = found[to_hf(tensor.name, "qwen2")]
        expected = dequantize(tensor.data, tensor.tensor_type).reshape(values.shape)
        assert values.dtype == np.float32
        assert np.array_equal(values, expected), tensor.name
        compared(values.size, what="weights")


def write_gguf(source: AprFile, target: Path) -> None:
    """Write a GGUF file from what an APR file keeps, with the gguf package's writer."""
    origin = gguf_origin(source)
    assert origin is not None
    writer = GGUFWriter(target, origin.values["general.architecture"])
    writer.kv_data[0].clear()
    with closing(writer):
        for key, value in origin.values.items():
            kind, *element = origin.types[key]
            writer.add_key_value(key, value, kind, *element)
        for name in origin.tensor_order:
            info = source.tensors[name]
            rows = source.raw(name).reshape(*info.shape[:-1], -1)
            writer.add_tensor(name, rows, raw_dtype=info.dtype)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def mapped_tensors_are_the_files_own(
    gguf_path: Path, gguf_reader: Reader, compared: Compared
) -> None:
    """Our reader and the gguf package's see the same metadata and the same tensors."""
    theirs = gguf_reader(gguf_path)
    with GgufFile(gguf_path) as ours, gguf_path.open("rb") as plain:
        fields = {key: field for key, field in theirs.fields.items() if key[:5] != "GGUF."}
        assert list(ours.metadata) == list(fields)
        for key, field in fields.items():
            assert list(ours.metadata_types[key]) == field.types, key
            assert same(ours.metadata[key], _contents(field)), key
        assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
        for tensor in theirs.tensors:
            info = ours.tensors[tensor.name]
            assert info.dtype == tensor.tensor_type
            assert info.shape == tuple(int(size) for size in tensor.shape[::-1])
            assert prod(info.shape) == tensor.n_elements
            plain.seek(int(tensor.data_offset))
            raw = np.frombuffer(plain.read(int(tensor.n_bytes)), np.uint8)
            assert np.array_equal(ours.raw(tensor.name), raw), f"bytes of {tensor.name}"
            compared(raw.size, what="bytes of tensors")


def same(one: Any, other: Any) -> bool:
    """Tell whether two metadata values are equal, NaN to NaN."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _contents(field: Any) -> Any:
    """Return a field's value; the package's own way is too slow for 150,000 strings."""
    if field.types[-1] != GGUFValueType.STRING:
        return field.contents()
    strings = [field.parts[at].tobytes().decode() for at in field.data]
    return strings if field.types[0] == GGUFValueType.ARRAY else strings[0]


def verify_transpose_involution(k: Draws) -> None:
    """Every shape of up to ``bound`` dimensions of up to ``bound`` elements comes back."""
    rank = k.int("rank", 1, k.bound)
    shape = tuple(k.int(f"d{axis}", 1, k.bound) for axis in range(rank))
    turned = swap(shape)
    assert swap(turned) == shape
    assert len(turned) == rank
    assert prod(turned) == prod(shape)
    if rank == 1:
        assert turned == shape
    k.cover("a shape that transposition changes", turned != shape)
