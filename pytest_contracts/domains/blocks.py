"""Raw quantized blocks as inputs: sizes from the ``gguf`` package, float16 fields kept finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_contracts.domains.arrays import ArraySpec, Draw, draw_array
from pytest_contracts.errors import ContractSyntaxError

# Byte offsets of the float16 fields in one block; source: ggml-common.h.
_FLOAT16_FIELDS: dict[str, tuple[int, ...]] = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
BYTES = ArraySpec.of("uint8")


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """One block type: its size in bytes and where its float16 fields begin."""

    name: str
    size: int
    float16_fields: tuple[int, ...]


def block_layout(name: str) -> BlockLayout:
    """Return the layout of a block type; ContractSyntaxError for an unknown one."""
    if name not in _FLOAT16_FIELDS:
        raise ContractSyntaxError(
            f"unknown block type {name!r}", hint=f"Known: {', '.join(_FLOAT16_FIELDS)}."
        )
    import gguf

    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    return BlockLayout(name, int(size), _FLOAT16_FIELDS[name])


def draw_blocks(draw: Draw, layout: BlockLayout, count: int, *, valid: bool) -> NDArray[np.uint8]:
    """Draw raw blocks; with ``valid`` no scale is infinite or NaN.

    Shapes:
        returns: [count, bytes per block]
    """
    blocks: NDArray[Any] = draw_array(draw, (count, layout.size), BYTES)
    if valid:
        for offset in layout.float16_fields:
            high = blocks[:, offset + 1]  # little-endian: sign, exponent, two bits of mantissa
            high[(high & 0x7C) == 0x7C] &= 0xBF
    return blocks
