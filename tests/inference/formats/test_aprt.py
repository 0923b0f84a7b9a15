from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.errors import ModelFileError
from inference.formats.aprt import read_aprt, stage_path, write_aprt


def test_the_example_of_the_format(tmp_path: Path) -> None:
    path = stage_path(tmp_path, "lm_head", None)
    write_aprt(path, None, np.zeros(152_064, np.float32))
    data = path.read_bytes()
    assert len(data) == 608_268
    assert data[:12] == bytes.fromhex("41505254ffffffff00520200")
    assert path == tmp_path / "lm_head.bin"


def test_layers_have_their_directory(tmp_path: Path) -> None:
    path = stage_path(tmp_path, "qkv", 3)
    write_aprt(path, 3, np.ones((2, 4), np.float32))
    assert path == tmp_path / "layer-3" / "qkv.bin"
    assert path.read_bytes()[4:12] == struct.pack("<II", 3, 8)
    assert [found.name for found in path.parent.iterdir()] == ["qkv.bin"]


@given(
    values=arrays(np.uint32, st.integers(0, 40)),
    layer=st.none() | st.integers(0, 2**32 - 2),
)
def test_every_bit_pattern_survives(
    values: Any, layer: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("aprt") / "x.bin"
    write_aprt(path, layer, values.view(np.float32))
    read = read_aprt(path)
    assert read.layer == layer
    assert read.values.tobytes() == values.tobytes()


HEAD = b"APRT" + struct.pack("<II", 0, 2)


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "truncated header: 0 bytes", 0),
        (HEAD[:11], "truncated header: 11 bytes", 0),
        (b"APRX" + HEAD[4:] + bytes(8), "bad magic b'APRX'", 0),
        (HEAD + bytes(7), "truncated body: 2 values need 20 bytes, not 19", 19),
        (HEAD + bytes(9), "1 bytes follow the last value", 20),
        (b"APRT" + b"\xff" * 8 + bytes(100), "truncated body", 112),
    ],
)
def test_damaged_files(data: bytes, message: str, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_aprt(path)
    assert caught.value.offset == offset


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    with pytest.raises(TypeError, match="float32"):
        write_aprt(path, 0, np.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layer 4294967295"):
        write_aprt(path, 2**32 - 1, np.zeros(2, np.float32))
    huge = np.broadcast_to(np.float32(0), (2**32,))
    with pytest.raises(ValueError, match="4,294,967,296 values"):
        write_aprt(path, 0, huge)
    assert not path.exists()


def test_paths_that_do_not_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_aprt(tmp_path / "file" / "x.bin", 0, np.zeros(2, np.float32))
    with pytest.raises(ModelFileError, match="no such file"):
        read_aprt(tmp_path / "none.bin")
