"""Paths as people want to read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def relative(path: Path, config: pytest.Config) -> Path:
    """Return the path as seen from where pytest was started, where that is shorter."""
    shown = Path(os.path.relpath(path, config.invocation_params.dir))
    return path if shown.parts[:1] == ("..",) else shown


def named(path: Path, root: Path) -> str:
    """Return the ledger's name of a file: as seen from the root, where it lies below."""
    for start in (root, root.resolve()):
        if path.is_relative_to(start):
            return path.relative_to(start).as_posix()
    return path.as_posix()
