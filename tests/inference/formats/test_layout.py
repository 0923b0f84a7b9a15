from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.formats.layout import swap, tensor_nbytes
from inference.quant.types import GGMLType


@given(st.lists(st.integers(1, 2**40), max_size=4))
def test_swap_is_its_own_inverse_and_what_numpy_does(dims: list[int]) -> None:
    assert swap(swap(dims)) == tuple(dims)
    if np.prod(dims, dtype=object) < 1000:
        assert swap(dims) == np.empty(dims, np.int8).T.shape


@pytest.mark.parametrize("dtype", [GGMLType.F32, GGMLType.Q4_1, GGMLType.Q8_0, GGMLType.Q6_K])
def test_sizes_are_the_gguf_packages(dtype: GGMLType) -> None:
    rows = gguf.quants.quant_shape_to_byte_shape((3, 5, 512), dtype)
    assert tensor_nbytes(dtype, (3, 5, 512)) == int(np.prod(rows))


def test_half_a_block() -> None:
    with pytest.raises(ValueError, match="blocks of 256"):
        tensor_nbytes(GGMLType.Q4_K, (2, 128))
