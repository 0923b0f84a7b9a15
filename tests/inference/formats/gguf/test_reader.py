from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.gguf.reader import GgufFile
from inference.quant.types import GGMLType

STRING, ARRAY, U32 = GGUFValueType.STRING, GGUFValueType.ARRAY, GGUFValueType.UINT32


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def header(tensors: int = 0, keys: int = 0, *, magic: bytes = b"GGUF", version: int = 3) -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, keys)


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def info(name: str, dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return (
        text(name)
        + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        + struct.pack("<IQ", kind, offset)
    )


def padded(data: bytes, alignment: int = 32) -> bytes:
    return data.ljust(-(-len(data) // alignment) * alignment, b"\0")


def opened(tmp_path: Path, data: bytes) -> GgufFile:
    path = tmp_path / "made.gguf"
    path.write_bytes(data)
    return GgufFile(path)


def plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_reads_what_the_gguf_package_reads(tiny_gguf: Path) -> None:
    theirs = GGUFReader(tiny_gguf)
    with GgufFile(tiny_gguf) as ours:
        assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
        for tensor in theirs.tensors:
            info = ours.tensors[tensor.name]
            assert info.dtype == tensor.tensor_type
            assert info.shape == tuple(int(size) for size in reversed(tensor.shape))
            assert info.offset == tensor.data_offset
            assert ours.raw(tensor.name).tobytes() == tensor.data.tobytes()
        fields = {key: f for key, f in theirs.fields.items() if not key.startswith("GGUF.")}
        assert list(ours.metadata) == list(fields)
        for key, field in fields.items():
            np.testing.assert_equal(plain(ours.metadata[key]), plain(field.contents()), key)
            assert list(ours.metadata_types[key]) == field.types


def test_views_are_read_only_and_outlive_the_file(tiny_gguf: Path) -> None:
    with GgufFile(tiny_gguf) as file:
        raw = file.raw("output.weight")
        expected = raw.tobytes()
    assert not raw.flags.writeable
    assert raw.tobytes() == expected


def test_strings_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    value = b"\xff\xfeab"
    entry = pair("k", STRING, struct.pack("<Q", len(value)) + value)
    file = opened(tmp_path, header(keys=1) + entry)
    assert file.metadata["k"].encode(errors="surrogateescape") == value


@pytest.mark.parametrize("element", [STRING, U32, GGUFValueType.BOOL])
def test_empty_arrays_are_read(tmp_path: Path, element: int) -> None:
    entry = pair("k", ARRAY, struct.pack("<IQ", element, 0))
    assert plain(opened(tmp_path, header(keys=1) + entry).metadata["k"]) == []


@pytest.mark.parametrize("version", [2, 3])
def test_versions_two_and_three_are_read(tmp_path: Path, version: int) -> None:
    data = header(1, 0, version=version) + info("t", (32,))
    file = opened(tmp_path, padded(data) + bytes(128))
    assert file.version == version
    assert file.tensors["t"].shape == (32,)


_VALUES = {
    GGUFValueType.UINT8: st.integers(0, 2**8 - 1),
    GGUFValueType.INT8: st.integers(-(2**7), 2**7 - 1),
    GGUFValueType.UINT16: st.integers(0, 2**16 - 1),
    GGUFValueType.INT16: st.integers(-(2**15), 2**15 - 1),
    GGUFValueType.UINT32: st.integers(0, 2**32 - 1),
    GGUFValueType.INT32: st.integers(-(2**31), 2**31 - 1),
    GGUFValueType.UINT64: st.integers(0, 2**64 - 1),
    GGUFValueType.INT64: st.integers(-(2**63), 2**63 - 1),
    GGUFValueType.FLOAT32: st.floats(width=32),
    GGUFValueType.FLOAT64: st.floats(),
    GGUFValueType.BOOL: st.booleans(),
    GGUFValueType.STRING: st.text(max_size=20),
}


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, GGUFValueType, GGUFValueType | None]:
    kind = draw(st.sampled_from(list(_VALUES)))
    if draw(st.booleans()):
        return draw(st.lists(_VALUES[kind], min_size=1, max_size=5)), ARRAY, kind
    return draw(_VALUES[kind]), kind, None


@settings(max_examples=60)
@given(
    entries=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
            lambda key: not key.startswith("general.")
        ),
        typed_values(),
        max_size=6,
    )
)
def test_every_value_type_survives(
    entries: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("values") / "values.gguf"
    writer = GGUFWriter(path, "qwen2")
    for key, (value, kind, element) in entries.items():
        writer.add_key_value(key, value, kind, element)
    with closing(writer):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    with GgufFile(path) as file:
        assert list(file.metadata) == ["general.architecture", *entries]
        for key, (value, kind, element) in entries.items():
            np.testing.assert_equal(plain(file.metadata[key]), value)
            assert file.metadata_types[key] == ((kind,) if element is None else (kind, element))


def strings(count: int, *values: str) -> bytes:
    return struct.pack("<IQ", STRING, count) + b"".join(text(value) for value in values)


_ROOM = bytes(4096)
_BROKEN: dict[str, tuple[bytes, str, int | None]] = {
    "empty file": (b"", "empty", 0),
    "only a magic": (b"GGUF", "the version needs 4 bytes", 4),
    "another magic": (header(magic=b"GGML") + _ROOM, "not a GGUF file", 0),
    "version 1": (header(version=1) + _ROOM, "version 1 is not supported", 4),
    "version 4": (header(version=4) + _ROOM, "version 4 is not supported", 4),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + _ROOM, "big-endian", 4),
    "no counts": (header()[:12], "number of tensors", 8),
    "many tensors": (header(2**40) + _ROOM, "at most", 8),
    "tensors beyond the file": (header(200) + _ROOM, "cannot fit", 8),
    "many keys": (header(0, 2**63) + _ROOM, "at most", 16),
    "keys beyond the file": (header(0, 4000) + _ROOM, "cannot fit", 16),
    "key past the end": (
        header(0, 1) + struct.pack("<Q", 60_000) + _ROOM,
        "a metadata key needs 60,000 bytes",
        32,
    ),
    "long key": (header(0, 1) + struct.pack("<Q", 2**62) + _ROOM, "at most 65,535", 24),
    "empty key": (header(0, 1) + pair("", U32, bytes(4)) + _ROOM, "is empty", 24),
    "key is not UTF-8": (
        header(0, 1) + struct.pack("<Q", 1) + b"\xff" + _ROOM,
        "not UTF-8",
        24,
    ),
    "duplicate key": (header(0, 2) + pair("k", U32, bytes(4)) * 2 + _ROOM, "occurs twice", 41),
    "unknown value type": (header(0, 1) + pair("k", 13, bytes(4)) + _ROOM, "value type 13", 33),
    "string past the end": (
        header(0, 1) + pair("k", STRING, struct.pack("<Q", 5000)) + _ROOM,
        "the value of 'k' needs 5,000 bytes",
        45,
    ),
    "long string": (
        header(0, 1) + pair("k", STRING, struct.pack("<Q", 2**63)) + _ROOM,
        "at most",
        37,
    ),
    "nested array": (
        header(0, 1) + pair("k", ARRAY, struct.pack("<IQ", ARRAY, 1)) + _ROOM,
        "nested array",
        41,
    ),
    "strings beyond the file": (
        header(0, 1) + pair("k", ARRAY, strings(1000)) + _ROOM,
        "cannot fit",
        41,
    ),
    "endless strings": (header(0, 1) + pair("k", ARRAY, strings(2**50)) + _ROOM, "at most", 41),
    "last string past the end": (
        header(0, 1) + pair("k", ARRAY, strings(2, "ab") + struct.pack("<Q", 99)),
        "string 1 of 2 in 'k' passes the end",
        59,
    ),
    "string length past the end": (
        header(0, 1) + pair("k", ARRAY, strings(3, "ab", "cdefghijkl")),
        "string 2 of 3 in 'k' passes the end",
        77,
    ),
    "numbers beyond the file": (
        header(0, 1) + pair("k", ARRAY, struct.pack("<IQ", U32, 2**61)) + _ROOM,
        "at most",
        41,
    ),
    "numbers past the end": (
        header(0, 1) + pair("k", ARRAY, struct.pack("<IQ", U32, 5)) + bytes(16),
        "pass the end",
        49,
    ),
    "scalar past the end": (
        header(0, 1) + pair("k", GGUFValueType.UINT64, bytes(7)),
        "the value of 'k' needs 8 bytes",
        37,
    ),
    "alignment 48": (
        header(0, 1) + pair("general.alignment", U32, struct.pack("<I", 48)) + _ROOM,
        "power of two",
        None,
    ),
    "alignment 0": (
        header(0, 1) + pair("general.alignment", U32, bytes(4)) + _ROOM,
        "power of two",
        None,
    ),
    "alignment is a text": (
        header(0, 1) + pair("general.alignment", STRING, text("32")) + _ROOM,
        "power of two",
        None,
    ),
    "rank 5": (header(1) + info("t", (1,) * 5) + _ROOM, "5 dimensions", 33),
    "rank 2 billion": (
        header(1) + text("t") + struct.pack("<I", 2**31) + _ROOM,
        "2147483648 dimensions",
        33,
    ),
    "dimensions overflow": (header(1) + info("t", (2**62, 4)) + _ROOM, "impossible", 33),
    "unknown type": (header(1) + info("t", (32,), 77) + _ROOM, "unknown type 77", 45),
    "removed type": (header(1) + info("t", (32,), 4) + _ROOM, "unknown type 4", 45),
    "half a block": (header(1) + info("t", (33,), GGMLType.Q8_0) + _ROOM, "blocks of 32", 24),
    "misaligned": (header(1) + info("t", (8,), 0, 8) + _ROOM, "no multiple of the alignment", 49),
    "offset past the end": (header(1) + info("t", (8,), 0, 8192) + _ROOM, "needs 32 bytes", 8256),
    "huge offset": (header(1) + info("t", (8,), 0, 2**64 - 32) + _ROOM, "needs 32 bytes", None),
    "data past the end": (header(1) + info("t", (4096,)) + _ROOM, "needs 16,384 bytes", 64),
    "overlap": (
        header(2) + info("a", (16,)) + info("b", (16,), 0, 32) + _ROOM,
        "'a' and 'b' overlap",
        128,
    ),
    "same place": (header(2) + info("a", (8,)) + info("b", (8,)) + _ROOM, "overlap", 96),
    "duplicate tensor": (
        header(2) + info("a", (8,)) + info("a", (8,), 0, 32) + _ROOM,
        "'a' occurs twice",
        None,
    ),
    "tensor table past the end": (header(1) + info("t", (8,))[:-1], "the offset of", None),
}


@pytest.mark.parametrize("name", _BROKEN)
def test_broken_files_are_refused_at_the_right_byte(name: str, tmp_path: Path) -> None:
    data, message, offset = _BROKEN[name]
    with pytest.raises(ModelFileError, match=re.escape(message)) as caught:
        opened(tmp_path, data)
    if offset is not None:
        assert caught.value.offset == offset


@pytest.mark.parametrize("name", ["another magic", "version 1", "big-endian", "unknown type"])
def test_unsupported_is_told_from_damaged(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError):
        opened(tmp_path, _BROKEN[name][0])


def test_alignment_is_honoured(tmp_path: Path) -> None:
    head = header(1, 1) + pair("general.alignment", U32, struct.pack("<I", 256)) + info("t", (8,))
    file = opened(tmp_path, padded(head, 256) + np.arange(8, dtype="<f4").tobytes())
    assert file.tensors["t"].offset == 256
    np.testing.assert_array_equal(file.raw("t").view("<f4"), np.arange(8))


@pytest.mark.parametrize(
    "name", ["many tensors", "endless strings", "numbers beyond the file", "rank 2 billion"]
)
def test_hostile_counts_cost_no_memory(name: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            opened(tmp_path, _BROKEN[name][0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        GgufFile(tmp_path / "none.gguf")


@pytest.mark.untraced
def test_damaged_files_give_a_result_or_a_typed_error(
    tiny_gguf: Path,
    tmp_path: Path,
    mutations: Callable[..., Iterator[bytes]],
    survives: Callable[[Path], bool],
    overwrite: Callable[[Path, bytes], None],
) -> None:
    data = tiny_gguf.read_bytes()
    with GgufFile(tiny_gguf) as file:
        start = file.data_offset
    path = tmp_path / "damaged.gguf"
    outcomes = []
    for broken in mutations(data, 4000, seed=1, upto=start):
        overwrite(path, broken)
        outcomes.append(survives(path))
    assert 50 < sum(outcomes) < 2000


def test_every_truncation_is_noticed(
    tiny_gguf: Path, tmp_path: Path, overwrite: Callable[[Path, bytes], None]
) -> None:
    data = tiny_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(0, 2000, 13), *range(2000, len(data), 997), len(data) - 1]:
        overwrite(path, data[:size])
        with pytest.raises(ModelFileError):
            GgufFile(path)
