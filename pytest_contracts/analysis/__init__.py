"""Pure functions over contracts: what can be said about them without running a claim."""

from __future__ import annotations
