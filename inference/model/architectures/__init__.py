"""The architectures that the one decoder covers: one row each, with every fact of it."""

from __future__ import annotations

from inference.model.architectures.row import Architecture
from inference.model.architectures.table import ARCHITECTURES, architecture_of_model_type
from inference.model.architectures.usual import BIASES, EVERYWHERE, KEYS, MODEL_TENSORS, Keys

__all__ = [
    "ARCHITECTURES",
    "BIASES",
    "EVERYWHERE",
    "KEYS",
    "MODEL_TENSORS",
    "Architecture",
    "Keys",
    "architecture_of_model_type",
]
