"""Memory that cannot be had, said as what it was wanted for."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from inference.errors import OutOfMemoryError

_SIGNS = ("failed to map segment", "Cannot allocate memory", "libllvmlite")
"""How the loader of shared libraries, and who wraps it, speak of memory that ran out."""

_BLAS_BYTES = 125 << 20
_BLAS_BYTES_PER_THREAD = 10 << 20
"""Address space that an import of OpenBLAS takes: its code and buffers, and a stack a thread."""


@contextlib.contextmanager
def needing(purpose: str) -> Iterator[None]:
    """Raise ``OutOfMemoryError`` for whatever shows in the block that memory ran out."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if (shortage := shortage_in(error)) is None:
            raise
        raise OutOfMemoryError(f"not enough memory {purpose}: {shortage}") from error


def room_for_blas(library: str, purpose: str) -> None:
    """Raise ``OutOfMemoryError`` where an import would find too little address space for OpenBLAS.

    NumPy and SciPy bring one each. Under a limit (``ulimit -v``) it does not fail but ends the
    process, sends it an interrupt, or waits for memory for ever. Without a limit nothing is asked.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or library in sys.modules:
        return
    needed = _BLAS_BYTES + _BLAS_BYTES_PER_THREAD * (os.cpu_count() or 1)
    left = limit - _address_space()
    if left < needed:
        raise OutOfMemoryError(
            f"not enough memory {purpose}: {library} takes about {needed >> 20} MiB of address "
            f"space, {max(left, 0) >> 20} MiB are left of a limit of {limit >> 20} MiB (ulimit -v)"
        )


def _address_space() -> int:
    """Return the bytes of address space that this process takes; 0 where nobody can tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def shortage_in(error: BaseException) -> str | None:
    """Return what an exception, or one that led to it, says of missing memory; else None."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = str(cause)
        if isinstance(cause, MemoryError):
            return text or "the system gives no more"
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return text
        if isinstance(cause, ImportError | OSError) and any(sign in text for sign in _SIGNS):
            return text.strip().splitlines()[-1]
        cause = cause.__cause__ or cause.__context__
    return None
