from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats import ModelFile, open_model


def test_content_decides_and_names_do_not(
    tiny_gguf: Path, tiny_apr: Path, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.copy(tiny_gguf, tmp_path / "a.apr")
    shutil.copy(tiny_apr, tmp_path / "b.gguf")
    for path, kind in (
        (tmp_path / "a.apr", "gguf"),
        (tmp_path / "b.gguf", "apr"),
        (make_hf(), "hf"),
    ):
        with open_model(path) as file:
            assert isinstance(file, ModelFile)
            assert file.format == kind


def test_canonical_names_are_the_same_in_every_format(
    tiny_gguf: Path, tiny_apr: Path, make_hf: Callable[..., Path]
) -> None:
    with open_model(tiny_gguf) as one, open_model(tiny_apr) as two, open_model(make_hf()) as three:
        assert one.tensors.keys() == two.tensors.keys() == three.tensors.keys()
        assert {i.shape for i in one.tensors.values()} == {i.shape for i in three.tensors.values()}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with b''"),
        (b"\x7fELF" + bytes(60), "which no reader knows"),
        (b"PK\3\4" + bytes(60), "pickled tensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"\x10\0\0\0\0\0\0\0{" + bytes(60), "a bare safetensors file"),
        (b"APR2" + bytes(60), "old kind APR2"),
        (b"GGUF", "the version needs"),
    ],
)
def test_other_files_are_refused_by_what_they_are(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=message):
        open_model(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path / "pipe", "\0"):
        with pytest.raises(ModelFileError, match="no such file"):
            open_model(path)
    with pytest.raises(UnsupportedFormatError, match="directory without"):
        open_model(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        open_model(tmp_path / ("n" * 300))
