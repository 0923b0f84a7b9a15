"""The codebooks of the i-quants, as float32 tables.

The grids are data of ggml (ggml-common.h, ``iq2xxs_grid`` and its kin). The ``gguf`` package
carries them; they are unpacked from there when a tensor first needs one.
"""

from __future__ import annotations

from functools import cache

import gguf.quants
import numpy as np
from numpy.typing import NDArray

from inference.quant.types import GGMLType

Floats = NDArray[np.float32]

_GRIDS = {
    GGMLType.IQ1_S: gguf.quants.IQ1_S,
    GGMLType.IQ1_M: gguf.quants.IQ1_M,
    GGMLType.IQ2_XXS: gguf.quants.IQ2_XXS,
    GGMLType.IQ2_XS: gguf.quants.IQ2_XS,
    GGMLType.IQ2_S: gguf.quants.IQ2_S,
    GGMLType.IQ3_XXS: gguf.quants.IQ3_XXS,
    GGMLType.IQ3_S: gguf.quants.IQ3_S,
}

IQ4_LEVELS = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8
)
"""Sixteen levels, closer together near zero (ggml-common.h, ``kvalues_iq4nl``)."""

E2M1_LEVELS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.int8)
"""The 4-bit floats of OCP Microscaling v1.0, doubled so that they are whole."""


@cache
def grid(dtype: GGMLType) -> Floats:
    """Return the codebook of a type, [entries, weights per entry], read-only."""
    packed = _GRIDS[dtype]
    packed.init_grid()
    table = np.array(packed.grid, np.float32).reshape(packed.grid_shape)
    table.flags.writeable = False
    return table


@cache
def signs_of_byte() -> Floats:
    """Return ±1 for the eight bits of every byte, [256, 8]; a set bit is a minus."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return np.where(bits == 1, np.float32(-1), np.float32(1))


@cache
def even_signs() -> Floats:
    """Return ±1 for every 7-bit code, [128, 8]; the eighth makes the minuses even in number."""
    codes = np.arange(128)
    parity = np.bitwise_count(codes) & 1
    table: Floats = signs_of_byte()[codes | (parity << 7)]
    return table
