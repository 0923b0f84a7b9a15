"""RoPE: rotary position embedding, in the layout of the paper or of NeoX.

``rope`` is ``rope_rotate`` by a ``rope_table`` of ``rope_frequencies``: the table can be built once
for many tensors, and from frequencies that a model scales.
"""

from __future__ import annotations

from inference.kernels.rope.cpu import rope, rope_frequencies, rope_rotate, rope_table
from inference.kernels.rope.scaling import interpolated, interpolated_by_parts

__all__ = [
    "interpolated",
    "interpolated_by_parts",
    "rope",
    "rope_frequencies",
    "rope_rotate",
    "rope_table",
]
