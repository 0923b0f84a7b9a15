from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.quant import reference
from inference.quant.types import GGMLType, block_size, padded_row_bytes, type_size

SIX_BITS = st.lists(st.integers(0, 63), min_size=8, max_size=8)


@given(scales=SIX_BITS, mins=SIX_BITS)
def test_scales_and_mins_survive_packing(scales: list[int], mins: list[int]) -> None:
    packed = reference.pack_scale_min(scales, mins)
    assert all(0 <= value < 256 for value in packed)
    assert [reference.unpack_scale_min(j, packed) for j in range(8)] == list(
        zip(scales, mins, strict=True)
    )


@given(packed=st.lists(st.integers(0, 255), min_size=12, max_size=12))
def test_every_packed_bit_is_used(packed: list[int]) -> None:
    pairs = [reference.unpack_scale_min(j, packed) for j in range(8)]
    assert reference.pack_scale_min(*zip(*pairs, strict=True)) == packed


def test_low_nibbles_come_before_high_nibbles() -> None:
    assert [reference.nibble_position(i) for i in (0, 1, 31, 32, 63, 64, 255)] == [
        (0, 0), (1, 0), (31, 0), (0, 4), (31, 4), (32, 0), (127, 4),
    ]  # fmt: skip
    assert len({reference.nibble_position(i) for i in range(256)}) == 256


def test_q6_positions_cover_every_bit_once() -> None:
    positions = [reference.q6_position(i) for i in range(256)]
    assert positions[0] == (0, 0, 0, 0)
    assert positions[32] == (32, 0, 0, 2)
    assert positions[64] == (0, 4, 0, 4)
    assert positions[129] == (65, 0, 33, 0)
    assert len({(low, shift) for low, shift, _, _ in positions}) == 256
    assert len({(high, shift) for _, _, high, shift in positions}) == 256


@pytest.mark.parametrize("name", ["Q4_K", "Q5_K", "Q6_K"])
def test_sizes_agree_with_the_gguf_package(name: str) -> None:
    dtype = GGMLType[name]
    assert reference.superblock_bytes(1, block_size(dtype), name) == type_size(dtype)
    for cols in (0, 1, 255, 256, 257, 896):
        assert reference.superblock_bytes(7, cols, name) == 7 * padded_row_bytes(dtype, cols)


def test_field_offsets() -> None:
    assert [reference.field_offset("Q4_K", f) for f in ("d", "dmin", "scales", "qs")] == [
        0,
        2,
        4,
        16,
    ]
    assert reference.field_offset("Q6_K", "d") == 208
    with pytest.raises(KeyError):
        reference.field_offset("Q6_K", "dmin")
