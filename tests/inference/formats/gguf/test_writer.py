from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from gguf import GGUFValueType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import EngineError, ModelFileError
from inference.formats.gguf.reader import GgufFile
from inference.formats.gguf.writer import write_gguf
from inference.formats.writing import TensorSource
from inference.quant.types import AprType, GGMLType, TensorType, row_bytes


def source(name: str, dtype: TensorType, shape: tuple[int, ...], seed: int = 0) -> TensorSource:
    size = int(np.prod(shape[:-1])) * row_bytes(dtype, shape[-1])
    data = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8).tobytes()
    return TensorSource(name, dtype, shape, lambda: [data[:5], data[5:]])


METADATA: dict[str, Any] = {
    "general.architecture": ("made", Kind.STRING),
    "general.alignment": (64, Kind.UINT32),
    "u8": (255, Kind.UINT8),
    "i8": (-128, Kind.INT8),
    "u16": (65535, Kind.UINT16),
    "i16": (-5, Kind.INT16),
    "i32": (-(2**31), Kind.INT32),
    "u64": (2**64 - 1, Kind.UINT64),
    "i64": (-(2**63), Kind.INT64),
    "f32": (0.5, Kind.FLOAT32),
    "f64": (0.1, Kind.FLOAT64),
    "yes": (True, Kind.BOOL),
    "text": ('日本 \0 "', Kind.STRING),
    "texts": (["a", "", "é"], Kind.ARRAY, Kind.STRING),
    "numbers": ([1, 2, 3], Kind.ARRAY, Kind.INT32),
    "floats": ([0.25, float("inf")], Kind.ARRAY, Kind.FLOAT32),
    "none": ([], Kind.ARRAY, Kind.UINT8),
}
VALUES = {key: entry[0] for key, entry in METADATA.items()}
TYPES = {key: entry[1:] for key, entry in METADATA.items()}
TENSORS = [
    source("b", GGMLType.F32, (3,), 1),
    source("a", GGMLType.Q4_K, (2, 512), 2),
    source("c", GGMLType.IQ1_S, (2, 3, 256), 3),
]


def test_the_gguf_package_reads_every_value_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    write_gguf(path, VALUES, TYPES, TENSORS, alignment=64)
    reader = GGUFReader(path)
    fields = {key: field for key, field in reader.fields.items() if key[:5] != "GGUF."}
    assert list(fields) == list(VALUES)
    for key, field in fields.items():
        assert tuple(field.types) == TYPES[key] or not VALUES[key]
        np.testing.assert_equal(field.contents(), VALUES[key], key)
    assert [tensor.name for tensor in reader.tensors] == ["b", "a", "c"]
    for tensor, wanted in zip(reader.tensors, TENSORS, strict=True):
        assert tuple(int(n) for n in tensor.shape[::-1]) == wanted.shape
        assert tensor.tensor_type == wanted.dtype
        assert tensor.data_offset % 64 == 0
        assert tensor.data.tobytes() == b"".join(wanted.pieces())


TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\udc80\udcff"), max_size=6)
ENTRIES = st.one_of(
    st.tuples(TEXT, st.just((Kind.STRING,))),
    st.tuples(st.lists(TEXT, max_size=3), st.just((Kind.ARRAY, Kind.STRING))),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.just((Kind.INT64,))),
    st.tuples(st.floats(width=32, allow_nan=False), st.just((Kind.FLOAT32,))),
    st.tuples(st.lists(st.booleans(), max_size=3), st.just((Kind.ARRAY, Kind.BOOL))),
)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(lambda key: f"k.{key}")


@settings(max_examples=60)
@given(entries=st.dictionaries(KEYS, ENTRIES, max_size=5))
def test_whatever_is_written_comes_back(
    entries: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("w") / "x.gguf"
    values = {key: entry[0] for key, entry in entries.items()}
    types = {key: entry[1] for key, entry in entries.items()}
    write_gguf(path, values, types, TENSORS)
    with GgufFile(path) as file:
        assert list(file.metadata) == list(values)
        assert file.metadata_types == types
        for key, value in file.metadata.items():
            plain = value.tolist() if isinstance(value, np.ndarray) else value
            assert plain == values[key]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(256, Kind.UINT8), ("x", Kind.FLOAT32), (5, Kind.STRING), (None, Kind.UINT32)],
)
def test_values_that_do_not_fit_are_refused(value: Any, kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="metadata key 'k' cannot be written"):
        write_gguf(tmp_path / "x", {"k": value}, {"k": (kind,)}, [])
    assert not list(tmp_path.iterdir())


def test_tensors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    short = TensorSource("t", GGMLType.F32, (3,), lambda: [bytes(8)])
    for tensors, message in (
        ([source("t", AprType.APR_Q4, (32,))], "GGUF has no APR_Q4"),
        ([source("t", GGMLType.F32, (1,) * 5)], r"shape \[1, 1, 1, 1, 1\] does not fit GGUF"),
        ([short], "came as 8 bytes, not 12"),
    ):
        with pytest.raises(ModelFileError, match=message):
            write_gguf(target, {}, {}, tensors)
    with pytest.raises(EngineError, match="two tensors would be called 'b'"):
        write_gguf(target, {}, {}, [TENSORS[0], TENSORS[0]])
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_check_can_refuse(tmp_path: Path) -> None:
    def refuse(file: GgufFile) -> None:
        assert list(file.tensors) == ["b", "a", "c"]
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        write_gguf(tmp_path / "x", {}, {}, TENSORS, check=refuse)
    assert not list(tmp_path.iterdir())
