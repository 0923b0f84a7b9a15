"""What beside the project's own files decides how a judgement ends."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata

DISTRIBUTION = "pytest-contracts"


def surroundings(**also: str) -> dict[str, str]:
    """Return Python's version, the kind of machine, and the version of each package we depend on.

    ``also`` is what else counts in a project, such as the device that its claims run on.
    """
    needed = (
        _name(line) for line in metadata.requires(DISTRIBUTION) or () if "extra ==" not in line
    )
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        **{name: _version(name) for name in sorted(needed)},
        **also,
    }


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
