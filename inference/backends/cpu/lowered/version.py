"""A digest of the sources of everything compiled here, which Numba's cache does not look at."""

from __future__ import annotations

from pathlib import Path

from inference import kernels
from inference.kernels.cpu.sources import source_digest


def _version() -> int:
    here = Path(__file__)
    compiled = ("executor", "parts", "table", "taps", "team")
    return source_digest(
        *sorted(Path(kernels.__file__).parent.rglob("*.py")),
        *(here.with_name(f"{name}.py") for name in compiled),
    )


VERSION = _version()
"""Part of the key of all that is compiled here."""
