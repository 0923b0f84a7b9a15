"""What each obligation type claims where neither ``formal`` nor ``run`` says it.

Every module of this folder attaches the templates that it defines to their rows.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pytest_contracts.items.obligations.clause import Clause
from pytest_contracts.items.obligations.templates import TEMPLATES, Template

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["TEMPLATES", "Clause", "Template"]
