"""Sliding windows of attention out of a model file's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.config.hyperparameters import Hyperparameters
from inference.model.config import SlidingWindow

LOCAL_THETA = 1e4
"""Rotary base of sliding layers where a file states none."""

_HF_TYPES = {"sliding_attention": True, "full_attention": False}


def sliding_window(read: Hyperparameters, layers: int, pattern: int | None) -> SlidingWindow | None:
    """Return which layers see a window only; ``pattern`` None: the architecture has none."""
    if pattern is None:
        return None
    tokens = read.extra_size("sliding_tokens")
    slides = _layer_types(read, layers)
    if slides is None:
        pattern = read.extra_size("sliding_pattern", default=pattern)
        slides = [(layer + 1) % pattern != 0 for layer in range(layers)]
    chosen = tuple(layer for layer, slides_here in enumerate(slides) if slides_here)
    return SlidingWindow(tokens, chosen, _local_theta(read))


def _layer_types(read: Hyperparameters, layers: int) -> list[bool] | None:
    """Return for each layer whether it slides, when the file says it layer by layer."""
    key, stated = read.extra_key("sliding_layers"), read.extra("sliding_layers")
    if isinstance(stated, np.ndarray):
        stated = stated.tolist()
    if stated is None or type(stated) is int:
        return None
    found = [_slides(kind) for kind in stated] if isinstance(stated, Sequence) else []
    if len(found) != layers or None in found:
        raise ModelFileError(
            read.file.path,
            f"metadata key {key!r} must say of each of {layers} layers whether it slides",
        )
    return [bool(slides) for slides in found]


def _slides(kind: Any) -> bool | None:
    if isinstance(kind, str):
        return _HF_TYPES.get(kind)
    return bool(kind) if type(kind) in (bool, int) else None


def _local_theta(read: Hyperparameters) -> float:
    if read.dialect == "gguf":
        return read.extra_positive("sliding_theta", default=LOCAL_THETA)
    section = read.hf_rope("sliding_attention")
    kind = section.get("rope_type", section.get("type"))
    if kind not in (None, "default"):
        raise UnsupportedFormatError(
            read.file.path,
            f"rotary scaling {str(kind)[:80]!r} of sliding layers is not implemented",
        )
    return read.positive_in({"rope_theta": LOCAL_THETA, **section}, "rope_theta")
