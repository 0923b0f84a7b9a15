"""A model with tensors of every type gives the logits of the same values as float32."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gguf.quants
import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference.data import TINY_MODEL
from inference.errors import UnsupportedTypeError
from inference.formats.gguf.reader import GgufFile
from inference.formats.gguf.writer import write_gguf
from inference.formats.writing import TensorSource
from inference.kernels.qmatmul import FUSED_KERNELS
from inference.quant import dequantize
from inference.quant.types import GGMLType, block_size, type_size

IDS = [3, 141, 59, 26]
NAMES = [name for name in gguf.GGMLQuantizationType.__members__ if name[0] in "QITMNB"]
WITHOUT = {"Q8_1", "Q1_0", "Q8_K", "I8", "I16", "I32", "I64"}
"""The gguf package neither packs nor expands these."""
TYPES = [pytest.param(GGMLType[name], id=name) for name in [*NAMES, "F16"] if name not in WITHOUT]


def packed(values: NDArray[np.float32], dtype: GGMLType) -> NDArray[np.uint8]:
    """The package's own packing, or blocks whose float16 scale is that of such weights."""
    try:
        return gguf.quants.quantize(values, dtype).view(np.uint8)
    except NotImplementedError:
        pass
    rows, cols = values.shape
    shape = (rows, cols // block_size(dtype), type_size(dtype))
    blocks = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    scale = np.float16(0.001).view(np.uint16)
    low, high = scale & 0xFF, scale >> 8
    if dtype == GGMLType.IQ1_M:  # its scale is in the upper halves of four words
        for word in range(4):
            nibble = (int(scale) >> (4 * word)) & 15
            at = 49 + 2 * word
            blocks[..., at] = (blocks[..., at] & 15) | (nibble << 4)
    elif dtype == GGMLType.NVFP4:
        blocks[..., :4] = 8
    else:
        at = {"Q2_K": 80, "Q3_K": 108, "Q6_K": 208}.get(dtype.name, 0)
        blocks[..., at], blocks[..., at + 1] = low, high
        if dtype.name in ("Q2_K", "Q4_K", "Q5_K"):
            blocks[..., at + 2], blocks[..., at + 3] = low, high
    return blocks.reshape(rows, -1)


@cache
def matrices() -> dict[str, NDArray[np.float32]]:
    with GgufFile(TINY_MODEL) as file:
        return {
            name: dequantize(file.raw(name), info.dtype, info.shape)
            for name, info in file.tensors.items()
            if len(info.shape) == 2
        }


def write(folder: Path, dtype: GGMLType) -> tuple[Path, Path]:
    """Write the tiny model with matrices of one type, and with what they stand for as float32."""
    paths = folder / "packed.gguf", folder / "expanded.gguf"
    blocks = {name: packed(values, dtype) for name, values in matrices().items()}
    floats = {name: gguf.quants.dequantize(data, dtype) for name, data in blocks.items()}
    with GgufFile(TINY_MODEL) as file:
        for path, of_matrices, of in zip(
            paths, (blocks, floats), (dtype, GGMLType.F32), strict=True
        ):
            tensors = []
            for name, info in file.tensors.items():
                data = of_matrices[name] if name in of_matrices else file.raw(name)
                kind = of if name in of_matrices else info.dtype
                bytes_of = data.tobytes()
                tensors.append(TensorSource(name, kind, info.shape, lambda b=bytes_of: [b]))
            write_gguf(path, file.metadata, file.metadata_types, tensors)
    return paths


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_runs(dtype: GGMLType, tmp_path: Path) -> None:
    logits = []
    for path, of in zip(write(tmp_path, dtype), (dtype, GGMLType.F32), strict=True):
        with inference.load(path, numerics="f32") as model:
            logits.append(model.forward(IDS))
            used = {entry.dtype for entry in model.dispatch}
            assert used == {of}
    assert np.isfinite(logits[0]).all()
    assert logits[0].std() > 1e-3
    np.testing.assert_array_equal(logits[0], logits[1])


def test_the_default_path_names_the_one_that_runs(tmp_path: Path) -> None:
    dtype = GGMLType.IQ4_NL
    assert dtype not in FUSED_KERNELS
    path, _ = write(tmp_path, dtype)
    with pytest.raises(UnsupportedTypeError, match=r"is IQ4_NL, .*load with numerics='f32'"):
        inference.load(path)
