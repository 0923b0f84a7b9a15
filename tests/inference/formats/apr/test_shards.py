from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from inference.errors import EngineError, InputError, ModelFileError, UnsupportedFormatError
from inference.formats import open_model
from inference.formats.apr.reader import AprFile
from inference.formats.apr.shards import AprShards, write_apr_shards
from inference.formats.apr.writer import write_apr
from inference.formats.writing import TensorSource
from inference.quant.types import GGMLType

METADATA: dict[str, Any] = {"architecture": "qwen2", "name": "made", "tokenizer": {"model": "gpt2"}}


def source(name: str, size: int) -> TensorSource:
    data = name.encode() * size
    return TensorSource(name, GGMLType.I8, (len(data),), lambda: [data])


TENSORS = [source(name, size) for name, size in (("c", 50), ("a", 60), ("b", 70), ("d", 300))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_apr_shards(tmp_path / "set", METADATA, TENSORS, max_shard_size=150)
    return tmp_path / "set"


def change(path: Path, **section: Any) -> None:
    """Rewrite a file of a set with another ``sharding`` section, checksums and all."""
    with AprFile(path, shard=True) as file:
        metadata = json.loads(json.dumps(file.metadata))
        tensors = [source(name, info.nbytes) for name, info in file.tensors.items()]
        data = path.read_bytes()
    metadata["sharding"] |= section
    path.unlink()
    write_apr(path, metadata, tensors)
    changed = bytearray(path.read_bytes())
    changed[6:8] = data[6:8]
    changed[40:44] = struct.pack("<I", zlib.crc32(changed[44:64], zlib.crc32(changed[:40])))
    path.write_bytes(changed)


def test_the_set_is_one_model(folder: Path) -> None:
    names = [f"model-{n:05}-of-00003.apr" for n in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == names
    with AprShards(folder, verify=True) as file:
        assert file.metadata == METADATA
        assert list(file.tensors) == ["a", "b", "c", "d"]
        for tensor in TENSORS:
            assert file.raw(tensor.name).tobytes() == b"".join(tensor.pieces())
    with AprFile(folder / names[1], shard=True, verify=True) as part:
        assert part.sharded
        assert "tokenizer" not in part.metadata
        assert part.metadata["sharding"]["shard_index"] == 1
        assert part.metadata["sharding"]["total_size"] == 480


@pytest.mark.parametrize("name", ["", "model-00002-of-00003.apr"])
def test_the_directory_and_any_file_of_it_open_the_set(name: str, folder: Path) -> None:
    with open_model(folder / name) as file:
        assert isinstance(file, AprShards)
        assert len(file.tensors) == 4


def test_one_file_alone_is_refused(folder: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match="one file of a set; open the directory"):
        AprFile(folder / "model-00001-of-00003.apr")


def test_missing_and_foreign_files_are_refused(folder: Path, tmp_path: Path) -> None:
    second = folder / "model-00002-of-00003.apr"
    saved = second.read_bytes()
    second.unlink()
    with pytest.raises(ModelFileError, match=r"00002-of-00003\.apr: no such file"):
        AprShards(folder)
    shutil.copy(folder / "model-00003-of-00003.apr", second)
    with pytest.raises(ModelFileError, match="says that it is file 2 of 3, not 1"):
        AprShards(folder)
    other = [source("c", 51), *TENSORS[1:]]
    write_apr_shards(tmp_path / "other", METADATA, other, max_shard_size=150)
    second.write_bytes((tmp_path / "other" / second.name).read_bytes())
    with pytest.raises(ModelFileError, match="is not of the set of model-00001"):
        AprShards(folder)
    second.write_bytes(saved)
    (folder / "model-00001-of-00003.apr").unlink()
    with pytest.raises(UnsupportedFormatError, match="holds 0 first files"):
        open_model(folder)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"shard_count": 10**9}, "says that it is file 0 of 1000000000"),
        ({"shard_count": "3"}, "says that it is file"),
        ({"shard_index": 1}, "says that it is file 1 of 3, not 0"),
        ({"pattern": "../{index}/{count}"}, "its set has names like '../{index}/{count}'"),
        ({"shard_count": 2}, "its set has names like"),
        ({"set": "0"}, "is not of the set"),
    ],
)
def test_sections_that_lie_are_refused(section: dict[str, Any], message: str, folder: Path) -> None:
    change(folder / "model-00001-of-00003.apr", **section)
    with pytest.raises(ModelFileError, match=message):
        open_model(folder)


def test_a_set_that_agrees_on_other_tensors_is_refused(folder: Path) -> None:
    for path in folder.iterdir():
        change(path, set="0")
    with pytest.raises(ModelFileError, match="not those that the set was made of"):
        open_model(folder)


def test_writing_refuses_what_makes_no_set(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="exists already"):
        write_apr_shards(folder, METADATA, TENSORS, max_shard_size=150)
    with pytest.raises(InputError, match="must be positive"):
        write_apr_shards(tmp_path / "x", METADATA, TENSORS, max_shard_size=0)
    with pytest.raises(EngineError, match="two tensors would be called 'a'"):
        write_apr_shards(tmp_path / "x", METADATA, [*TENSORS, source("a", 1)], max_shard_size=9)
    assert not (tmp_path / "x").exists()
