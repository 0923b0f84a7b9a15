"""Compressed APR files: what comes back, and what a hostile one cannot do."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import ModelFileError
from inference.formats import open_model
from inference.formats.apr import writer
from inference.formats.apr.compression import FLAGS, Compression, expand, packer
from inference.formats.apr.layout import Flag
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_apr
from inference.formats.writing import TensorSource
from inference.quant.types import GGMLType

COMPRESSIONS: list[Compression] = ["lz4", "zstd"]
LIBRARY: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lambda frame: bytes(lz4.frame.decompress(frame)),
    "zstd": lambda frame: zstandard.ZstdDecompressor().decompressobj().decompress(frame),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor(write_content_size=False).compress,
}


def source(name: str, data: bytes, step: int = 1000) -> TensorSource:
    def pieces() -> list[bytes]:
        return [data[at : at + step] for at in range(0, len(data), step)]

    return TensorSource(name, GGMLType.I8, (len(data),), pieces)


TEXT = b"weights that repeat themselves, " * 100
NOISE = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_tensors_come_back_and_the_libraries_read_the_frames(
    compression: Compression, tmp_path: Path
) -> None:
    path = tmp_path / "x.apr"
    data = {"a": TEXT, "b": NOISE, "c": bytes(1 << 20), "d": b"x"}
    write_apr(path, {}, [source(*item) for item in data.items()], compression=compression)
    whole = path.read_bytes()
    with AprFile(path, verify=True) as file:
        assert file.header.flags & FLAGS[compression]
        for name, expected in data.items():
            assert file.raw(name).tobytes() == expected
            assert not file.raw(name).flags.writeable
        at, size = file.tensors["a"].offset, file._stored["a"]
        assert size < len(TEXT) / 5
        assert LIBRARY[compression](whole[at : at + size]) == TEXT
        # Noise does not shrink, and zeros would shrink beyond what a reader accepts.
        assert file._stored["b"] == len(NOISE)
        assert file._stored["c"] == 1 << 20 or compression == "lz4"
        assert file._stored["d"] == 1
        assert np.shares_memory(file.raw("b"), file.raw("b"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(max_examples=25)
@given(data=st.binary(min_size=1, max_size=4000).map(lambda data: data * 7))
def test_any_bytes_survive(compression: Compression, data: bytes) -> None:
    frame = packer(compression)
    stored = frame.compress(data[:100]) + frame.compress(data[100:]) + frame.flush()
    back = expand(np.frombuffer(stored, np.uint8), FLAGS[compression], len(data))
    assert back.tobytes() == data


def hostile(compression: str, stored: bytes, claimed: int, tmp_path: Path) -> Path:
    """An APR file whose one tensor claims to have ``claimed`` bytes."""
    entry = struct.pack("<H1sBBQQQ", 1, b"t", 6, 1, claimed, 0, len(stored))
    flag = FLAGS[compression]  # type: ignore[index]
    header = struct.pack(
        "<4sBBHIQIQQI20s", b"APR\0", 2, 0, 1024 | flag, 1, 64, 2, 128, 192, 0, bytes(20)
    )
    crc = zlib.crc32(header[44:], zlib.crc32(header[:40]))
    header = header[:40] + struct.pack("<I", crc) + header[44:]
    body = header + b"{}".ljust(64, b"\0") + entry.ljust(64, b"\0")
    body += stored + bytes(-len(stored) % 64)
    path = tmp_path / "hostile.apr"
    path.write_bytes(body + struct.pack("<I", zlib.crc32(body)))
    return path


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_claims_beyond_measure_are_refused_before_anything_is_allocated(
    compression: str, tmp_path: Path
) -> None:
    for claimed in (257 * 100, 1 << 40, (1 << 63) - 1):
        path = hostile(compression, bytes(100), claimed, tmp_path)
        tracemalloc.start()
        with pytest.raises(ModelFileError, match=f"claims to expand from 100 to {claimed:,} bytes"):
            AprFile(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_bomb_goes_off_in_a_bounded_room(compression: str, tmp_path: Path) -> None:
    """A gigabyte of zeros in a frame, and a tensor that claims a little: a little is allocated."""
    bomb = PACKED[compression](bytes(1 << 28))
    claimed = min(100 * len(bomb), 1 << 20)
    path = hostile(compression, bomb, max(claimed, len(bomb) + 1), tmp_path)
    with AprFile(path, verify=True) as file:
        tracemalloc.start()
        with pytest.raises(ModelFileError, match="'t': expands to more than"):
            file.raw("t")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damaged_frames_are_typed_errors(compression: Compression, tmp_path: Path) -> None:
    frame = PACKED[compression](TEXT)
    flipped = bytearray(frame)
    flipped[len(frame) // 2] ^= 0xFF
    for stored, claimed in (
        (frame[: len(frame) // 2], len(TEXT)),
        (frame, len(TEXT) - 1),
        (frame, len(TEXT) + 1),
        (b"\0" * len(frame), len(TEXT)),
        (frame[:8], 1000),
    ):
        with (
            AprFile(hostile(compression, stored, claimed, tmp_path)) as file,
            pytest.raises(
                ModelFileError, match=r"'t': (expands to|damaged|the frame|bytes follow)"
            ),
        ):
            file.raw("t")


def test_a_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=0)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = frame.compress(TEXT) + frame.flush()
    with (
        AprFile(hostile("zstd", stored, len(TEXT), tmp_path)) as file,
        pytest.raises(ModelFileError, match=r"damaged Zstandard frame.*memory"),
    ):
        file.raw("t")


def test_both_compressions_at_once_are_refused(tmp_path: Path) -> None:
    path = hostile("lz4", b"x", 1, tmp_path)
    data = bytearray(path.read_bytes())
    data[6] |= Flag.ZSTD
    data[40:44] = struct.pack("<I", zlib.crc32(data[44:64], zlib.crc32(data[:40])))
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="both LZ4 and Zstandard"):
        AprFile(path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_mutated_files_load_or_are_refused(
    compression: Compression,
    tiny_gguf: Path,
    tmp_path: Path,
    mutations: Callable[..., Any],
    survives: Callable[[Path], bool],
    overwrite: Callable[[Path, bytes], None],
) -> None:
    path = tmp_path / "x.apr"
    with open_model(tiny_gguf) as file:
        write_apr(
            path,
            {"architecture": "qwen2"},
            [source(name, file.raw(name).tobytes()) for name in list(file.tensors)[:4]],
            compression=compression,
        )
    with AprFile(path) as whole:
        start = whole.header.data_offset
    data = path.read_bytes()
    outcomes = set()
    for broken in mutations(data[start:], 150, seed=5):
        overwrite(path, data[:start] + broken)
        outcomes.add(survives(path))
    assert False in outcomes


def test_pieces_that_change_between_two_passes_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_RATIO", 1)
    lengths = iter([len(TEXT), len(TEXT) - 1])
    shrinking = TensorSource("t", GGMLType.I8, (len(TEXT),), lambda: [TEXT[: next(lengths)]])
    with pytest.raises(ModelFileError, match="came as"):
        write_apr(tmp_path / "x.apr", {}, [shrinking], compression="lz4")
    assert not list(tmp_path.iterdir())


def test_what_is_copied_of_an_lz4_frame_does_not_grow_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library copies all that it has not yet read, at every call."""
    unread = []

    class Watched(lz4.frame.LZ4FrameDecompressor):  # type: ignore[misc]
        def decompress(self, data: bytes, max_length: int = -1) -> bytes:
            piece: bytes = super().decompress(data, max_length)
            unread.append(len(self._unconsumed_data))
            return piece

    monkeypatch.setattr(lz4.frame, "LZ4FrameDecompressor", Watched)
    values = np.random.default_rng(0).integers(0, 9, 1 << 24, np.uint8)
    frame = np.frombuffer(lz4.frame.compress(values.tobytes()), np.uint8)
    assert frame.size > 4 << 20
    np.testing.assert_array_equal(expand(frame, Flag.LZ4, values.size), values)
    assert max(unread) <= 1 << 20
