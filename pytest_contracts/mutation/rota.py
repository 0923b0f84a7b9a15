"""Which rows are judged again although nothing says that they must: a tenth, by turns.

The same for everybody on the same code, another one whenever the code changes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from pathlib import Path

from pytest_contracts.mutation.kept import RowId

PARTS = 10


def drawn(rows: Collection[RowId], code: str) -> frozenset[RowId]:
    """Return a tenth of the rows, rounded up, drawn by their names and the digest of the code."""

    def lot(row: RowId) -> str:
        return hashlib.sha256(f"{code}\0{row}".encode()).hexdigest()

    return frozenset(sorted(rows, key=lot)[: math.ceil(len(rows) / PARTS)])


def code_digest(folder: Path) -> str:
    """Return one digest over all files below a folder, by name and content, caches left out."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix()
            found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
