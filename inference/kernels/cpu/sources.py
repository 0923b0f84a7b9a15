"""Digests of source files, for what Numba's cache does not look at.

A compiled function's entry in that cache is renewed when the function's own file changes, but not
when code does that generated part of it, or a function that it calls. So a digest of those files is
put into its closure, which is part of the entry's key.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path


def source_digest(*paths: Path) -> int:
    """Return 56 bits that change with the content of the files."""
    digest = sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")
