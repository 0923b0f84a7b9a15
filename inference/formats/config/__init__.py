"""The configuration of a model: what its file states, in any format's words, checked."""

from __future__ import annotations

from inference.formats.config.reading import (
    architecture_of,
    model_config,
    rope_type_of,
    stated_hyperparameters,
)

__all__ = ["architecture_of", "model_config", "rope_type_of", "stated_hyperparameters"]
