"""The committed versions fit what the project declares."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("test", "lint", "docs", "browser")  # those that the README's commands and CI install
DECLARED = [
    Requirement(text)
    for text in (
        *PROJECT["dependencies"],
        *(text for extra in EXTRAS for text in PROJECT["optional-dependencies"][extra]),
    )
]
PINNED = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.name)
def test_every_declared_package_is_pinned_to_a_version_that_fits(declared: Requirement) -> None:
    name = canonicalize_name(declared.name)
    pins = [pin for pin in PINNED if canonicalize_name(pin.name) == name]
    assert pins, f"{name}: run tools/renew_constraints.sh"
    for pin in pins:
        (only,) = pin.specifier
        assert only.operator == "=="
        assert declared.specifier.contains(only.version), f"{pin}, but declared is {declared}"
