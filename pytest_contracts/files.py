"""Writing files so that each is either the old one or the whole new one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path

_SUFFIX = ".contracts-partial"
_ABOUT_TO_BE_S = 60.0


class NoFileError(OSError):
    """What is to be written is there already, and is no regular file."""


def check_target(path: Path) -> Path:
    """Return the place that ``path`` leads to, links followed; refuse what cannot be written.

    It is to be absent or a regular file. Call it before any work whose result is to be written;
    folders that are missing are made later.

    Raises:
        NoFileError: it is something else, such as a device or a FIFO, or a stream that is open
            already (/dev/stdout).
        OSError: the system would not let us write there.
    """
    place = _followed(path)
    folder = place.parent
    while not folder.exists():
        folder = folder.parent
    status = _status(place)
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise NoFileError(errno.EINVAL, f"it is {_kind(status)}, no file; name another", str(path))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no directory", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder} is not writable", str(path))
    return place


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text to a temporary file beside ``path``, then rename it.

    A link is followed, and a file that is replaced hands on its mode. What killed writers of the
    same file left is removed.

    Raises:
        OSError: as `check_target`, or what the system refuses; ``path`` is as it was.
    """
    place = check_target(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(place)
    handle, temporary = tempfile.mkstemp(_SUFFIX, _prefix(place), place.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stream.write(text)
            stream.flush()
            status = _status(place)
            mode = 0o666 & ~_umask() if status is None else stat.S_IMODE(status.st_mode)
            os.chmod(temporary, mode)
            os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _followed(path: Path) -> Path:
    """Return where a path leads; refuse the links by which the system shows open streams."""
    place, seen = Path(os.path.abspath(path)), 0
    while place.is_symlink():
        seen += 1
        if seen > 40:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        folder = Path(os.path.realpath(place.parent))
        if folder.parts[1:2] == ("proc",):
            raise NoFileError(errno.EINVAL, "it is a stream that is open; name a file", str(path))
        place = folder / place.readlink()
    return Path(os.path.realpath(place))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _kind(status: os.stat_result) -> str:
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(status.st_mode), "a special file")


def _remove_leftovers(place: Path) -> None:
    """Delete what killed writers left: who is alive holds a lock, which the kernel lets go."""
    ours = re.compile(re.escape(_prefix(place)) + "[0-9a-z_]{8}" + re.escape(_SUFFIX))
    for entry in [e for e in os.scandir(place.parent) if ours.fullmatch(e.name)]:
        with contextlib.suppress(OSError):
            handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status = os.fstat(handle)
                # One that is neither locked nor written yet may be about to be.
                if status.st_size or time.time() - status.st_mtime > _ABOUT_TO_BE_S:
                    os.unlink(entry.path)
            finally:
                os.close(handle)


def _prefix(place: Path) -> str:
    """Return how hidden names begin: with the file's own, or its digest where that is long."""
    longest = 255
    with contextlib.suppress(OSError, ValueError):
        longest = os.pathconf(place.parent, "PC_NAME_MAX")
    name = os.fsencode(place.name)
    if len(name) + len(f"..12345678{_SUFFIX}") <= longest:
        return f".{place.name}."
    return f".{hashlib.sha256(name).hexdigest()[:32]}."


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
