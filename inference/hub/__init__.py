"""Real models: which are known, where they come from, where they are kept."""

from __future__ import annotations

from inference.hub.cache import cached, cached_models

__all__ = ["cached", "cached_models"]
