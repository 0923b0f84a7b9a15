"""The fixed function library; nothing else can be called, except the contract's own equations.

A function is one row, at the end of the module that evaluates it. Whoever adds one adds its row,
and ``python tools/write_reference.py`` writes the reference page.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_contracts.formula.library import bits, elementwise, reductions, shaping
from pytest_contracts.formula.library.function import Function

__all__ = ["LIBRARY", "Function"]

LIBRARY: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for module in (elementwise, reductions, shaping, bits)
        for function in module.FUNCTIONS
    }
)
"""The functions by name, in the order of the reference."""
