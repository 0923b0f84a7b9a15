"""Rotary scaling out of a model file's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.config.hyperparameters import Hyperparameters
from inference.model.config import LinearScaling, Llama3Scaling, RopeScaling


def rope_scaling(read: Hyperparameters) -> RopeScaling | None:
    """Return how the frequencies of full attention are scaled, ``None`` when they are not.

    ``UnsupportedFormatError`` for a kind of scaling that the engine does not implement.
    """
    return _gguf_scaling(read) if read.dialect == "gguf" else _hf_scaling(read)


def _gguf_scaling(read: Hyperparameters) -> RopeScaling | None:
    # The factor has an older name too; llama.cpp takes it for linear when no kind is stated.
    names = "rope_factor", "rope_factor_older"
    name = next((name for name in names if read.extra(name) is not None), None)
    kind = read.extra("rope_scaling")
    if kind is None:
        kind = "none" if name is None else "linear"
    match str(kind):
        case "none":
            return None
        case "linear":
            return LinearScaling(read.extra_positive(name or names[0]))
        case other:
            raise _unsupported(read, other)


def _hf_scaling(read: Hyperparameters) -> RopeScaling | None:
    section = read.hf_rope("full_attention")
    kind = section.get("rope_type", section.get("type"))
    if kind in (None, "none", "default"):
        return None
    part = section.get("partial_rotary_factor", read.original.get("partial_rotary_factor"))
    if part not in (None, 1):
        raise UnsupportedFormatError(
            read.file.path, "partial_rotary_factor beside rotary scaling is not implemented"
        )
    if kind == "linear":
        return LinearScaling(read.positive_in(section, "factor"))
    if kind != "llama3":
        raise _unsupported(read, kind)
    scaling = Llama3Scaling(
        read.positive_in(section, "factor"),
        read.positive_in(section, "low_freq_factor"),
        read.positive_in(section, "high_freq_factor"),
        _original_context(read, section),
    )
    if scaling.low_freq_factor >= scaling.high_freq_factor:
        raise ModelFileError(read.file.path, "low_freq_factor must be below high_freq_factor")
    return scaling


def _original_context(read: Hyperparameters, section: Mapping[str, Any]) -> int:
    """Return the context that a model was first trained with: what stands beside counts first."""
    key = "original_max_position_embeddings"
    if read.original.get(key) is not None:
        return read.size_in(read.original, key)
    if section.get(key) is not None:
        return read.size_in(section, key)
    return read.extra_size("context_length")


def _unsupported(read: Hyperparameters, kind: object) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        read.file.path, f"rotary scaling {str(kind)[:80]!r} is not implemented"
    )
