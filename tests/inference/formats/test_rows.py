"""A part of a tensor expands to what the whole has there."""

from __future__ import annotations

import numpy as np
import pytest

from inference.formats import rows
from inference.formats.base import TensorInfo
from inference.formats.rows import PackedRows
from inference.quant import WRITABLE, dequantize, quantize
from inference.quant.types import TensorType

SHAPE = (2, 5, 256)


@pytest.mark.parametrize("dtype", sorted(WRITABLE), ids=lambda dtype: dtype.name)
def test_a_part_is_what_the_whole_has_there(
    dtype: TensorType, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    raw = quantize(values, dtype).reshape(-1)
    whole = dequantize(raw, dtype, SHAPE).reshape(10, 256)
    packed = PackedRows(TensorInfo("w", "w", SHAPE, dtype, 0, raw.size), raw)
    assert len(packed) == 10
    assert np.shares_memory(packed.packed, raw)
    order = np.array([7, 0, 7, 3])
    np.testing.assert_array_equal(packed.expand(order), whole[order])
    np.testing.assert_array_equal(packed.expand(slice(2, 6)), whole[2:6])
    monkeypatch.setattr(rows, "STRIP_VALUES", 3 * 256)
    strips = list(packed.strips())
    assert [len(strip) for strip in strips] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(strips), whole)
