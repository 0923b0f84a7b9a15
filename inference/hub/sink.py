"""The staging file of a pull: what every source writes into, a prefix of the model at any time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from inference.errors import DownloadError
from inference.hub.cache import staging_of
from inference.hub.registry import Entry

_BLOCK = 1 << 20


class Progress(Protocol):
    """Who watches a pull."""

    def say(self, message: str) -> None:
        """Take one line about what happens now."""
        ...

    def bytes(self, done: int, total: int) -> None:
        """Take how many of the model's bytes are here."""
        ...


class SourceError(DownloadError):
    """One source failed; another may do."""


class Sink:
    """The staging file of a pull: appends, hashes what it appends, reports progress."""

    def __init__(self, entry: Entry, progress: Progress) -> None:
        self.entry = entry
        self.progress = progress
        self.path = staging_of(entry)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        self._digest = hashlib.sha256()
        self.size = 0
        self.resume_at(self._file.tell())

    def resume_at(self, size: int) -> None:
        """Keep the first ``size`` bytes only, and hash them."""
        size = min(size, self.path.stat().st_size, self.entry.size)
        self._file.truncate(size)
        self._digest = hashlib.sha256()
        for block in blocks(self.path):
            self._digest.update(block)
        self.size = size
        self.progress.bytes(size, self.entry.size)

    def write(self, block: bytes) -> None:
        """Append a block; ``SourceError`` when the source sends more than the model has."""
        if self.size + len(block) > self.entry.size:
            raise SourceError(f"more than the {self.entry.size:,} bytes that {self.entry.id} has")
        self._file.write(block)
        self._digest.update(block)
        self.size += len(block)
        self.progress.bytes(self.size, self.entry.size)

    def flush(self) -> None:
        """Put what was written on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def hexdigest(self) -> str:
        """Return the SHA-256 of what is in the file."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file; it stays for the next try."""
        self._file.close()


def blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, a mebibyte at a time."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
