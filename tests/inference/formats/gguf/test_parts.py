"""A GGUF model in several files is one model, whichever part is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFValueType as Kind
from gguf import GGUFWriter

from inference.errors import ModelFileError
from inference.formats import open_model
from inference.formats.gguf.reader import GgufFile
from inference.surgery.importing import import_model


def split(
    whole: Path, folder: Path, *, count: int = 3, said: dict[str, Any] | None = None
) -> list[Path]:
    """Cut a file as llama-gguf-split does: metadata in the first part, tensors in order."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"model-{i + 1:05}-of-{count:05}.gguf" for i in range(count)]
    with GgufFile(whole) as file:
        names = list(file.tensors)
        for number, path in enumerate(paths):
            writer = GGUFWriter(path, file.metadata["general.architecture"])
            if number == 0:
                for key, value in file.metadata.items():
                    if key != "general.architecture":
                        values = value.tolist() if isinstance(value, np.ndarray) else value
                        writer.add_key_value(key, values, *file.metadata_types[key])
            stated = {"split.no": number, "split.count": count} | (said or {})
            for key, value in stated.items():
                writer.add_key_value(key, value, Kind.UINT16)
            writer.add_key_value("split.tensors.count", len(names), Kind.INT32)
            for name in names[number::count]:
                info = file.tensors[name]
                rows = file.raw(name).reshape(*info.shape[:-1], -1)
                if info.dtype.name == "F32":
                    rows = rows.view(np.float32)
                writer.add_tensor(name, rows, raw_dtype=info.dtype)  # type: ignore[arg-type]
            with closing(writer):
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_tensors_to_file()
    return paths


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_part_opens_the_whole(part: int, tiny_gguf: Path, tmp_path: Path) -> None:
    paths = split(tiny_gguf, tmp_path / "parts")
    with open_model(paths[part]) as file, open_model(tiny_gguf) as whole:
        assert file.tensors.keys() == whole.tensors.keys()
        assert not [key for key in file.metadata if key.startswith("split.")]
        for name in whole.tensors:
            assert file.raw(name).tobytes() == whole.raw(name).tobytes()


def test_an_import_takes_all_of_it(tiny_gguf: Path, tmp_path: Path) -> None:
    paths = split(tiny_gguf, tmp_path / "parts")
    import_model(paths[1], tmp_path / "x.apr")
    with open_model(tmp_path / "x.apr") as file, open_model(tiny_gguf) as whole:
        assert file.tensors.keys() == whole.tensors.keys()


def test_a_missing_part_is_named(tiny_gguf: Path, tmp_path: Path) -> None:
    paths = split(tiny_gguf, tmp_path / "parts")
    paths[2].unlink()
    with pytest.raises(ModelFileError, match=r"00003-of-00003\.gguf: is missing, part 3 of 3"):
        open_model(paths[0])


def test_a_part_of_another_name(tiny_gguf: Path, tmp_path: Path) -> None:
    paths = split(tiny_gguf, tmp_path / "parts")
    with pytest.raises(ModelFileError, match="the others cannot be found"):
        open_model(paths[0].rename(tmp_path / "parts" / "first.gguf"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"split.no": 7}, "says that it is part 7"),
        ({"split.count": 2}, "the others cannot be found"),
    ],
)
def test_contradictions(
    said: dict[str, int], message: str, tiny_gguf: Path, tmp_path: Path
) -> None:
    paths = split(tiny_gguf, tmp_path / "parts", said=said)
    with pytest.raises(ModelFileError, match=message):
        open_model(paths[0])


def test_parts_of_two_models(
    tiny_gguf: Path, tmp_path: Path, make_gguf: Callable[..., Path]
) -> None:
    paths = split(tiny_gguf, tmp_path / "parts")
    other = split(make_gguf(tensors={"token_embd.weight": None}), tmp_path / "other")
    paths[1].write_bytes(other[1].read_bytes())
    with pytest.raises(ModelFileError, match=r"occurs in two parts|tensors, not"):
        open_model(paths[0])
