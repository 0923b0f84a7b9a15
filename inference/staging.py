"""Files and directories that take their place whole or not at all.

What is written grows beside its target under a hidden name and is renamed at the end, so that a
reader sees the old content or the new one. The writer holds a lock on the hidden file; when it is
killed the kernel lets go, and the next writer of the same target removes what nobody locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from inference.errors import ModelFileError

SUFFIX = ".apr-partial"


@contextlib.contextmanager
def staged_file(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file that replaces ``target`` when the block ends well.

    On any error or interruption the target is as it was. ``durable`` waits for the disk before the
    file takes its place. ``ModelFileError`` for what the system refuses.
    """

    def make() -> Path:
        descriptor, name = tempfile.mkstemp(SUFFIX, _prefix(target), target.parent)
        os.close(descriptor)
        return Path(name)

    with _staged(target, make) as temporary:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        if durable:
            _sync(temporary)
        os.replace(temporary, target)
        if durable:
            _sync(target.parent)


@contextlib.contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory that becomes ``target`` when the block ends well.

    The target must not exist yet, or be an empty directory: several files cannot be replaced at
    once. ``ModelFileError`` when it holds something, or for what the system refuses.
    """
    occupied = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if occupied:
        raise ModelFileError(target, "exists already and is not empty; name another directory")

    def make() -> Path:
        return Path(tempfile.mkdtemp(SUFFIX, _prefix(target), target.parent))

    with _staged(target, make) as temporary:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        for path in temporary.iterdir():
            os.chmod(path, 0o666 & ~_umask())
            _sync(path)
        _sync(temporary)
        os.rename(temporary, target)
        _sync(target.parent)


def remove_leftovers(target: Path) -> list[Path]:
    """Delete what killed writers of ``target`` left beside it; return what was deleted.

    A hidden file that a living writer holds is left alone.
    """
    ours = re.compile(re.escape(_prefix(target)) + "[0-9a-z_]{8}" + re.escape(SUFFIX))
    removed = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(target.parent):
            if ours.fullmatch(entry.name) and _remove_unless_held(Path(entry.path)):
                removed.append(Path(entry.path))
    return removed


def _prefix(target: Path) -> str:
    return f".{target.name}."


@contextlib.contextmanager
def _staged(target: Path, make: Callable[[], Path]) -> Iterator[Path]:
    """Yield what ``make`` makes, locked; delete it unless the block has renamed it."""
    try:
        remove_leftovers(target)
        temporary, lock = _claim(make)
        try:
            yield temporary
        finally:
            _delete(temporary)
            os.close(lock)
    except OSError as error:
        raise ModelFileError(target, f"cannot be written: {error.strerror or error}") from error


def _claim(make: Callable[[], Path]) -> tuple[Path, int]:
    """Make a file or directory and lock it, before somebody takes it for a leftover."""
    while True:
        path = make()
        lock = os.open(path, os.O_RDONLY)
        if _try_lock(lock) and path.exists():
            return path, lock
        os.close(lock)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: nobody can tell a leftover there, so nobody removes ours.
        return True
    return True


def _remove_unless_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _delete(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _delete(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
