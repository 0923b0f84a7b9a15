"""Data that ships with the package: a tiny random model, for tests and first steps.

``TINY_MODEL`` is a complete GGUF file of the Qwen2 architecture: it runs everything that the real
model runs, in a millisecond, and says nothing sensible. ``tools/make_tiny_model.py`` makes it.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

TINY_MODEL: Path = Path(str(files(__name__).joinpath("tiny-qwen2.gguf")))

__all__ = ["TINY_MODEL"]
