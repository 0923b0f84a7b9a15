from __future__ import annotations

import hashlib
import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_apr
from inference.formats.writing import TensorSource
from inference.quant.types import (
    AprType,
    GGMLType,
    TensorType,
    block_size,
    is_quantized,
    prefix_bytes,
    type_size,
)


def source(name: str, dtype: GGMLType, shape: tuple[int, ...], data: bytes) -> TensorSource:
    def pieces() -> Iterable[bytes]:
        for start in range(0, len(data), 7):
            yield data[start : start + 7]

    return TensorSource(name, dtype, shape, pieces)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 64)


def sealed(header: bytes, rest: bytes) -> bytes:
    """Put both checksums into a file made of a 64-byte header and everything but the footer."""
    crc = zlib.crc32(header[:40] + header[44:64])
    body = header[:40] + struct.pack("<I", crc) + header[44:64] + rest
    return body + struct.pack("<I", zlib.crc32(body))


def entry(
    name: bytes = b"t",
    dtype: int = 0,
    dims: tuple[int, ...] = (2, 4),
    offset: int = 0,
    size: int = 32,
) -> bytes:
    return (
        struct.pack("<H", len(name))
        + name
        + struct.pack(f"<BB{len(dims)}QQQ", dtype, len(dims), *dims, offset, size)
    )


def made(
    *,
    magic: bytes = b"APR\0",
    version: tuple[int, int] = (2, 0),
    flags: int = 1024,
    count: int | None = None,
    metadata: bytes = b'{"architecture":"qwen2"}',
    metadata_offset: int = 64,
    metadata_size: int | None = None,
    index_shift: int = 0,
    data_shift: int = 0,
    entries: list[bytes] | None = None,
    data: bytes = bytes(range(64)),
) -> bytes:
    """Assemble an APR file by the letter of the format, one part of it wrong on request."""
    entries = [entry()] if entries is None else entries
    index_at = len(pad(bytes(64) + metadata))
    data_at = index_at + len(pad(b"".join(entries)))
    header = struct.pack(
        "<4sBBHIQIQQI20s",
        magic,
        *version,
        flags,
        len(entries) if count is None else count,
        metadata_offset,
        len(metadata) if metadata_size is None else metadata_size,
        index_at + index_shift,
        data_at + data_shift,
        0,
        bytes(20),
    )
    return sealed(header, pad(bytes(64) + metadata)[64:] + pad(b"".join(entries)) + data)


def opened(tmp_path: Path, data: bytes) -> AprFile:
    path = tmp_path / "made.apr"
    path.unlink(missing_ok=True)  # ext4 flushes a file that is truncated and rewritten
    path.write_bytes(data)
    return AprFile(path, verify=True)


def test_a_file_assembled_by_the_letter_of_the_format_is_read(tmp_path: Path) -> None:
    file = opened(tmp_path, made())
    assert file.tensors["t"].shape == (2, 4)
    assert file.raw("t").tobytes() == bytes(range(32))
    assert file.metadata["architecture"] == "qwen2"


def test_the_writer_writes_it_by_the_letter_of_the_format(tmp_path: Path) -> None:
    path = tmp_path / "written.apr"
    write_apr(
        path,
        {"architecture": "qwen2"},
        [source("t", GGMLType.F32, (2, 4), bytes(range(32)))],
    )
    assert path.read_bytes() == made(data=bytes(range(32)) + bytes(32))
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        (GGMLType.F32, 0),
        (GGMLType.F16, 1),
        (GGMLType.F64, 3),
        (GGMLType.I32, 4),
        (GGMLType.I64, 5),
        (GGMLType.I8, 6),
        (GGMLType.Q4_K, 12),
        (GGMLType.Q6_K, 14),
        (GGMLType.BF16, 30),
        (GGMLType.Q4_0, 162),
        (GGMLType.Q4_1, 163),
        (GGMLType.Q5_0, 166),
        (GGMLType.Q5_1, 167),
        (GGMLType.Q8_0, 168),
        (GGMLType.Q2_K, 170),
        (GGMLType.Q3_K, 171),
        (GGMLType.Q5_K, 173),
        (GGMLType.Q8_K, 175),
        (GGMLType.IQ4_NL, 180),
        (AprType.APR_Q4, 128),
        (AprType.APR_Q8, 129),
    ],
)
def test_type_numbers(dtype: TensorType, number: int, tmp_path: Path) -> None:
    path = tmp_path / "typed.apr"
    data = bytes(prefix_bytes(dtype) + type_size(dtype))
    write_apr(path, {}, [source("x", dtype, (block_size(dtype),), data)])
    with AprFile(path, verify=True) as file:
        assert file.tensors["x"].dtype is dtype
        assert path.read_bytes()[file.header.index_offset + 3] == number
        announced = {"dtype_extension": "ggml+160"} if number >= 160 else {}
        assert file.metadata == announced
        assert bool(file.header.flags & 32) == is_quantized(dtype)


@pytest.mark.parametrize(("number", "size"), [(8, 18), (128, 18), (9, 36), (129, 36)])
def test_old_numbers_of_the_apr_types(number: int, size: int, tmp_path: Path) -> None:
    path = tmp_path / "old.apr"
    entries = [entry(dtype=number, dims=(1, 32), size=size)]
    path.write_bytes(made(entries=entries))
    with AprFile(path, verify=True) as file:
        expected = AprType.APR_Q4 if size == 18 else AprType.APR_Q8
        assert file.tensors["t"].dtype is expected


@st.composite
def tensor_sets(draw: st.DrawFn) -> list[tuple[str, GGMLType, tuple[int, ...], bytes]]:
    names = draw(
        st.lists(
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), unique=True, max_size=5
        )
    )
    found = []
    for name in names:
        dtype = draw(st.sampled_from([GGMLType.F32, GGMLType.F16, GGMLType.Q4_0, GGMLType.Q4_K]))
        shape = (*draw(st.lists(st.integers(1, 3), max_size=3)), block_size(dtype))
        size = int(np.prod(shape[:-1], dtype=int)) * type_size(dtype)
        found.append((name, dtype, shape, draw(st.binary(min_size=size, max_size=size))))
    return found


# what surrogateescape makes of stray bytes has to survive as well
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\udc80\udcff"), max_size=8)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)


@settings(max_examples=30)
@given(
    tensors=tensor_sets(),
    metadata=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3), max_leaves=4),
        max_size=4,
    ),
)
def test_what_is_written_is_read(
    tensors: list[Any], metadata: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("apr") / "any.apr"
    write_apr(path, metadata, [source(*tensor) for tensor in tensors])
    with AprFile(path, verify=True) as file:
        assert file.metadata.items() >= metadata.items()
        assert len(file.tensors) == len(tensors)
        for name, dtype, shape, data in tensors:
            (info,) = [info for info in file.tensors.values() if info.file_name == name]
            assert (info.dtype, info.shape) == (dtype, shape)
            assert (info.offset - file.header.data_offset) % 64 == 0
            assert file.raw(info.name).tobytes() == data


_BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "APR1": ({"magic": b"APR1"}, "old kind APR1"),
    "APR2": ({"magic": b"APR2"}, "old kind APR2"),
    "another magic": ({"magic": b"APRX"}, "not an APR file"),
    "version 1": ({"version": (1, 0)}, "version 1 is not supported"),
    "LZ4 and Zstd": ({"flags": 1027}, "both LZ4 and Zstandard are flagged"),
    "encrypted": ({"flags": 1028}, "encryption is not supported"),
    "sharded": ({"flags": 1040}, "is one file of a set"),
    "column-major": ({"flags": 2048}, "column-major layout is not supported"),
    "unknown flag": ({"flags": 1024 + 4096}, "unknown flags 0x1000"),
    "metadata elsewhere": ({"metadata_offset": 128}, "metadata begin at 0x80"),
    "metadata too large": ({"metadata_size": 17 << 20}, "metadata of 17,825,792 bytes"),
    "metadata past the index": ({"metadata_size": 600}, "the tensor index begins at 0x80"),
    "index elsewhere": ({"index_shift": 64}, "the tensor index begins at 0xc0"),
    "data before the index": ({"data_shift": -128}, "the data section begins at"),
    "data past the end": ({"data_shift": 1 << 40}, "the data section begins at"),
    "data not aligned": ({"data_shift": 4}, "the data section begins at"),
    "too many tensors": ({"count": 2**32 - 1}, "4,294,967,295 tensors; at most"),
    "tensors beyond the index": ({"count": 40}, "40 tensors do not make an index of"),
    "index of zeros": ({"entries": [entry(), bytes(2000)], "count": 1}, "do not make an index"),
    "one tensor too many": ({"count": 2}, "name of 0 bytes|truncated"),
    "one tensor too few": (
        {"entries": [entry(), entry(b"u", offset=64)], "count": 1, "data": bytes(128)},
        "the tensor index ends at|the footer is at",
    ),
    "metadata not JSON": ({"metadata": b"{"}, "the metadata is not valid JSON"),
    "metadata not UTF-8": ({"metadata": b'"\xff"'}, "the metadata is not valid JSON"),
    "metadata a list": ({"metadata": b"[]"}, "is not a JSON object"),
    "metadata nested": ({"metadata": b'{"a":' + b"[" * 200_000}, "not valid JSON"),
    "metadata with NaN": ({"metadata": b'{"a":NaN}'}, "NaN is not a JSON number"),
    "metadata with a long number": ({"metadata": b'{"a":' + b"9" * 5000 + b"}"}, "not valid JSON"),
    "name not UTF-8": ({"entries": [entry(b"\xff")]}, "is not UTF-8"),
    "name empty": ({"entries": [entry(b"")]}, "tensor name of 0 bytes"),
    "name long": ({"entries": [entry(b"n" * 257)]}, "tensor name of 257 bytes"),
    "entry cut": ({"entries": [entry(b"n" * 60)[:-8]], "count": 1}, ".*"),
    "unsorted": ({"entries": [entry(b"b"), entry(b"a")]}, "twice or out of order"),
    "duplicate": ({"entries": [entry(), entry()]}, "twice or out of order"),
    "same canonical name": (
        {"entries": [entry(b"lm_head.weight"), entry(b"output.weight", offset=64)]},
        "'output.weight' occurs twice under different names",
    ),
    "U8": ({"entries": [entry(dtype=7)]}, "element type 7 .U8."),
    "unknown type": ({"entries": [entry(dtype=99)]}, "element type 99 .unknown."),
    "extension not announced": (
        {"entries": [entry(dtype=168, dims=(32,), size=34)]},
        "do not announce dtype_extension",
    ),
    "rank 0": ({"entries": [entry(dims=())]}, "impossible dimensions"),
    "rank 9": ({"entries": [entry(dims=(1,) * 9)]}, "impossible dimensions"),
    "dimension 0": ({"entries": [entry(dims=(0, 4))]}, "impossible dimensions"),
    "dimensions overflow": ({"entries": [entry(dims=(2**62, 4))]}, "impossible dimensions"),
    "size too small": ({"entries": [entry(size=28)]}, "takes 32 bytes, not 28"),
    "half a block": ({"entries": [entry(dtype=12)]}, "blocks of 256"),
    "misaligned": ({"entries": [entry(offset=8)]}, "no multiple of 64"),
    "offset past the end": ({"entries": [entry(offset=2**63)]}, "needs 32 bytes"),
    "overlap": ({"entries": [entry(b"a"), entry(b"b")]}, "overlap"),
    "data too short": ({"data": bytes(16)}, "needs 32 bytes"),
    "data too long": ({"data": bytes(128)}, "the footer is at"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BROKEN)
def test_broken_files_are_refused(name: str, tmp_path: Path) -> None:
    changes, message = _BROKEN[name]
    with pytest.raises(ModelFileError, match=message) as caught:
        opened(tmp_path, made(**changes))
    assert caught.value.offset is not None


@pytest.mark.parametrize("name", ["APR1", "version 1", "encrypted", "column-major", "U8"])
def test_unsupported_is_told_from_damaged(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError):
        opened(tmp_path, made(**_BROKEN[name][0]))


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = made()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        with pytest.raises(ModelFileError):
            opened(tmp_path, bytes(broken))


def test_a_damaged_header_is_noticed_without_reading_the_file(tmp_path: Path) -> None:
    data = bytearray(made())
    data[50] = 1
    path = tmp_path / "damaged.apr"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="the header is damaged"):
        AprFile(path)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = made()
    for size in range(len(data)):
        with pytest.raises(ModelFileError):
            opened(tmp_path, data[:size])


def test_hostile_counts_cost_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        for name in ("too many tensors", "metadata too large", "data past the end"):
            with pytest.raises(ModelFileError):
                opened(tmp_path, made(**_BROKEN[name][0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.untraced
@pytest.mark.parametrize("resealed", [False, True])
def test_damaged_files_give_a_result_or_a_typed_error(
    resealed: bool,
    tiny_apr: Path,
    tmp_path: Path,
    mutations: Callable[..., Iterator[bytes]],
    survives: Callable[[Path], bool],
    overwrite: Callable[[Path, bytes], None],
) -> None:
    data = tiny_apr.read_bytes()
    with AprFile(tiny_apr) as file:
        start = file.header.data_offset
    path = tmp_path / "damaged.apr"
    outcomes = []
    for broken in mutations(data, 3000, seed=2, upto=start):
        if resealed and len(broken) > 68:
            broken = sealed(broken[:64], broken[64:-4])
        overwrite(path, broken)
        outcomes.append(survives(path))
    assert 50 < sum(outcomes) < 2500


def interrupted(error: BaseException) -> Iterator[bytes]:
    yield bytes(16)
    raise error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "No space left"), MemoryError()]
)
@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_writer_leaves_things_as_they_were(
    error: BaseException, existing: bool, tmp_path: Path
) -> None:
    path = tmp_path / "target.apr"
    if existing:
        path.write_bytes(b"old")
    expected = ModelFileError if isinstance(error, OSError) else type(error)
    tensor = TensorSource("t", GGMLType.F32, (8,), partial(interrupted, error))
    with pytest.raises(expected):
        write_apr(path, {}, [tensor])
    assert [found.name for found in tmp_path.iterdir()] == (["target.apr"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_a_file_that_fails_its_check_does_not_replace_the_old(tmp_path: Path) -> None:
    path = tmp_path / "target.apr"
    path.write_bytes(b"old")

    def check(written: AprFile) -> None:
        assert written.path != path
        raise ModelFileError(written.path, "not what it should be")

    with pytest.raises(ModelFileError, match="not what it should be"):
        write_apr(path, {}, [source("t", GGMLType.F32, (8,), bytes(32))], check=check)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([source("t", GGMLType.F32, (8,), bytes(31))], "came as 31 bytes, not 32"),
        ([source("t", GGMLType.F32, (8,), bytes(33))], "came as 33 bytes, not 32"),
        ([source("", GGMLType.F32, (8,), bytes(32))], "is empty, too long or occurs twice"),
        ([source("n" * 257, GGMLType.F32, (8,), bytes(32))], "is empty, too long"),
        ([source("t", GGMLType.F32, (8,), bytes(32))] * 2, "occurs twice"),
    ],
)
def test_tensors_that_the_format_cannot_hold(
    tensors: list[TensorSource], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=message):
        write_apr(tmp_path / "x.apr", {}, tensors)
    assert not list(tmp_path.iterdir())


def test_metadata_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="the format holds 16,777,216"):
        write_apr(tmp_path / "x.apr", {"a": "x" * (16 << 20)}, [])


def test_metadata_that_json_cannot_hold(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), deep):
        with pytest.raises(ModelFileError, match="the metadata cannot be written"):
            write_apr(tmp_path / "x.apr", {"a": value}, [])
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_apr(tmp_path / "none" / "x.apr", {}, [])


def test_the_writer_streams(tmp_path: Path) -> None:
    piece = bytes(1 << 16)
    tensors = [
        TensorSource(f"t{n}", GGMLType.F32, (64, 1 << 14), lambda: [piece] * 64) for n in range(8)
    ]
    tracemalloc.start()
    try:
        write_apr(tmp_path / "big.apr", {}, tensors)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "big.apr").stat().st_size > 8 * 64 * len(piece)
    assert peak < 4_000_000


def test_the_same_input_gives_the_same_file(tmp_path: Path) -> None:
    tensors = [source(name, GGMLType.F32, (8,), os.urandom(32)) for name in "cab"]
    digests = set()
    for ordered in (tensors, tensors[::-1]):
        write_apr(tmp_path / "x.apr", json.loads('{"b": 1, "a": 2}'), ordered)
        digests.add(hashlib.sha256((tmp_path / "x.apr").read_bytes()).hexdigest())
    assert len(digests) == 1
