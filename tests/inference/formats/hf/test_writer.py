from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from inference.errors import EngineError, InputError, ModelFileError
from inference.formats.hf.reader import HfDirectory
from inference.formats.hf.writer import split, write_hf_directory
from inference.formats.writing import TensorSource
from inference.quant.types import GGMLType, TensorType


def source(name: str, array: np.ndarray, dtype: TensorType = GGMLType.F32) -> TensorSource:
    data = array.tobytes()
    return TensorSource(name, dtype, array.shape, lambda: [data[:3], data[3:]])


ARRAYS = {
    f"model.layers.{n}.mlp.up_proj.weight": np.random.default_rng(n)
    .normal(size=(4, n + 1))
    .astype(np.float32)
    for n in range(5)
}
FILES = {"config.json": {"model_type": "qwen2"}, "made.json": {"é": "\ud800"}}


@pytest.mark.parametrize(("limit", "shards"), [(None, 1), (10**9, 1), (100, 3), (1, 5)])
def test_the_safetensors_library_reads_every_byte(
    limit: int | None, shards: int, tmp_path: Path
) -> None:
    target = tmp_path / "hf"
    tensors = [source(name, array) for name, array in ARRAYS.items()]
    write_hf_directory(target, FILES, tensors, max_shard_size=limit)
    files = sorted(target.glob("*.safetensors"))
    assert len(files) == shards
    found = {}
    for file in files:
        with safe_open(file, "np") as opened:
            assert opened.metadata() == {"format": "pt"}
            names = list(opened.keys())
            found |= {name: opened.get_tensor(name) for name in names}
            size = sum(found[name].nbytes for name in names)
            assert limit is None or size <= limit or len(names) == 1
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    if shards > 1:
        index = json.loads((target / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(a.nbytes for a in ARRAYS.values())
        assert index["weight_map"].keys() == ARRAYS.keys()
    assert json.loads((target / "made.json").read_text(encoding="utf-8")) == FILES["made.json"]
    with HfDirectory(target) as directory:
        assert len(directory.tensors) == 5


def test_order_survives_the_split() -> None:
    tensors = [source(str(n), np.zeros(n, np.float32)) for n in (1, 2, 9, 1, 1)]
    assert [[t.name for t in shard] for shard in split(tensors, 12)] == [
        ["1", "2"],
        ["9"],
        ["1", "1"],
    ]
    with pytest.raises(InputError, match="must be positive"):
        split(tensors, 0)


def test_types_and_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    block = TensorSource("q", GGMLType.Q8_0, (32,), lambda: [bytes(34)])
    one = source("x", np.zeros(2, np.float32))
    with pytest.raises(ModelFileError, match="safetensors has no Q8_0"):
        write_hf_directory(tmp_path / "hf", FILES, [block])
    with pytest.raises(EngineError, match="two tensors would be called 'x'"):
        write_hf_directory(tmp_path / "hf", FILES, [one, one])
    short = TensorSource("q", GGMLType.F32, (4,), lambda: [bytes(9)])
    with pytest.raises(ModelFileError, match="came as 9 bytes, not 16"):
        write_hf_directory(tmp_path / "hf", FILES, [short])
    assert not list(tmp_path.iterdir())
