"""From GGUF's tensor names, the engine's own, to Hugging Face's and back.

APR files use Hugging Face's names too. The names are in the row of the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from inference.model.architectures import ARCHITECTURES, MODEL_TENSORS

_GGUF_LAYER = re.compile(r"blk\.(0|[1-9]\d{0,5})\.(.+)", re.ASCII | re.DOTALL)
_HF_LAYER = re.compile(r"model\.layers\.(0|[1-9]\d{0,5})\.(.+)", re.ASCII | re.DOTALL)

_MODEL_BACK = {hf: gguf for gguf, hf in MODEL_TENSORS.items()}


def to_hf(name: str, architecture: str) -> str:
    """Return Hugging Face's name of a canonical one; names outside the table are their own."""
    if name in MODEL_TENSORS:
        return MODEL_TENSORS[name]
    match, row = _GGUF_LAYER.fullmatch(name), ARCHITECTURES.get(architecture)
    hf = row.gguf_layer_tensors.get(match[2]) if match and row else None
    return f"model.layers.{match[1]}.{hf}" if match and hf else name


def from_hf(name: str, architecture: str) -> str:
    """Return the canonical name of one of Hugging Face's; names outside the table are their own."""
    if name in _MODEL_BACK:
        return _MODEL_BACK[name]
    match, row = _HF_LAYER.fullmatch(name), ARCHITECTURES.get(architecture)
    gguf = row.hf_layer_tensors.get(match[2]) if match and row else None
    return f"blk.{match[1]}.{gguf}" if match and gguf else name


def layer_of(name: str) -> int | None:
    """Return the layer that a canonical name belongs to, ``None`` for the model's own tensors."""
    match = _GGUF_LAYER.fullmatch(name)
    return int(match[1]) if match else None


def canonical_names(
    architecture: str, layers: int, *, tied: bool, biases: Iterable[str] = ()
) -> Iterator[str]:
    """Yield the name of every tensor that a model of ``architecture`` has.

    ``biases`` are those of a layer (``attn_q.bias``).
    """
    parts = (*ARCHITECTURES[architecture].layer_tensors, *biases)
    for name in MODEL_TENSORS:
        if not (tied and name == "output.weight"):
            yield name
    for layer in range(layers):
        for name in parts:
            yield f"blk.{layer}.{name}"
