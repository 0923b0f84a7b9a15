"""Executable mathematical contracts as pytest items: a claim counts only when it ran."""

from __future__ import annotations

__version__ = "0.1.0"
