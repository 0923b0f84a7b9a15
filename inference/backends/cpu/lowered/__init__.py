"""A whole forward pass in one call of compiled code: lowered to a table, then executed.

This door is the only one: nothing else of the room is anybody's business.
"""

from __future__ import annotations

from inference.backends.cpu.lowered.compiled import CompiledProgram
from inference.backends.cpu.lowered.entries import CannotLowerError

__all__ = ["CannotLowerError", "CompiledProgram"]
