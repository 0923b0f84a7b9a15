"""Model files of several kinds, opened as one shape."""

from __future__ import annotations

from inference.formats.base import ModelFile, TensorInfo
from inference.formats.opening import open_model

__all__ = ["ModelFile", "TensorInfo", "open_model"]
