"""A defect in a copy of the package, to be found before the original on the import path."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pytest_contracts.mutation.defects import Defect


def overlay(defect: Defect, folder: Path) -> Path:
    """Copy the defect's package into ``folder``, with the defect in it; return ``folder``.

    What Numba has compiled is copied too, and taken as long as its own source is as old as it was.
    A compiled function of another module has its callees compiled in: it keeps calling the healthy
    ones, so a mutant should name claims that call what it changes, or that run it uncompiled.
    """
    package = _package(defect)
    if package.is_dir():
        shutil.copytree(package, folder / package.name, copy_function=_link)
    source = folder / defect.source.relative_to(package.parent)
    source.unlink(missing_ok=True)
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*"):
        compiled.unlink()
    source.write_bytes(defect.text.encode("utf-8"))
    return folder


def packages_of(defect: Defect) -> Path:
    """Return the folder of which an overlay is a partial copy: the one that has the package."""
    return _package(defect).parent


def _link(source: str, target: str) -> None:
    """Give a file a second name, which costs less than a copy: what changes is written anew."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _package(defect: Defect) -> Path:
    """Return the folder of the top-level package, or the file of a module that is in none."""
    depth = defect.module.count(".")
    if depth == 0 and defect.source.name != "__init__.py":
        return defect.source
    below = depth if defect.source.name == "__init__.py" else depth - 1
    return defect.source.parents[below]
