"""Files and directories that take their place whole or not at all.

What is written grows beside its target under a hidden name and is renamed at the end, so that a
reader sees the old content or the new one. The writer holds a lock on the hidden file; when it is
killed the kernel lets go, and the next writer of the same target removes what nobody locks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from inference.errors import ModelFileError

SUFFIX = ".apr-partial"


def check_target(target: Path, *, directory: bool = False, parents: bool = False) -> Path:
    """Return the place that ``target`` leads to, links followed; refuse what cannot be written.

    A file is to be absent or a regular file, a directory absent or empty. Call it before any work
    whose result is to be written; ``parents`` allows for folders that are made on the way.

    Raises:
        ModelFileError: it is something else, such as a device or a FIFO, or a stream that is open
            already (/dev/stdout), or the system would not let us write there.
    """
    try:
        place = _followed(target)
        folder = place.parent
        while parents and not folder.exists():
            folder = folder.parent
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        status = _status(place)
        if status is None:
            _require_writable(folder)
        elif directory:
            _check_directory(target, place, status)
        elif not stat.S_ISREG(status.st_mode):
            raise ModelFileError(
                target, f"cannot be written: it is {_kind(status)}, no file; name another"
            )
        else:
            _require_writable(folder)
    except (OSError, ValueError) as error:
        raise _refusal(target, error) from error
    return place


@contextlib.contextmanager
def staged_file(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file that replaces ``target`` when the block ends well.

    A link is followed, and a file that is replaced hands on its mode and owner. On any error or
    interruption the target is as it was. ``durable`` waits for the disk before the file takes its
    place. ``ModelFileError`` for what `check_target` or the system refuses.
    """
    place = check_target(target)

    def make() -> Path:
        descriptor, name = tempfile.mkstemp(SUFFIX, _prefix(place), place.parent)
        os.close(descriptor)
        return Path(name)

    with _staged(target, place, make) as temporary:
        yield temporary
        _hand_on(_status(check_target(target)), temporary)
        if durable:
            _sync(temporary)
        os.replace(temporary, place)
        if durable:
            _sync(place.parent)


@contextlib.contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory whose files are in ``target`` when the block ends well.

    The target must not exist yet, or be an empty directory: several files cannot be replaced at
    once. One that exists is filled rather than replaced, since it may be a mount point or where
    somebody works; the first of its names in alphabetical order (config.json, the first shard)
    comes last. ``ModelFileError`` for what `check_target` or the system refuses.
    """
    place = check_target(target, directory=True)
    exists = place.is_dir()
    folder = place if exists else place.parent

    def make() -> Path:
        return Path(tempfile.mkdtemp(SUFFIX, _prefix(place), folder))

    with _staged(target, place, make) as temporary:
        yield temporary
        for path in temporary.iterdir():
            os.chmod(path, 0o666 & ~_umask())
            _sync(path)
        if exists:
            _publish(temporary, target, place)
        else:
            os.chmod(temporary, 0o777 & ~_umask())
            _sync(temporary)
            os.rename(temporary, place)
        _sync(folder)


def remove_leftovers(target: Path) -> list[Path]:
    """Delete what killed writers of ``target`` left beside it or in it; return what was deleted.

    A hidden file that a living writer holds is left alone.
    """
    removed = []
    for folder in (target.parent, target):
        for path in _hidden(folder, target):
            if _remove_unless_held(path, target):
                removed.append(path)
    return removed


def _followed(target: Path) -> Path:
    """Return where a path leads; refuse the links by which the system shows open streams."""
    place, seen = Path(os.path.abspath(target)), 0
    while place.is_symlink():
        seen += 1
        if seen > 40:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        folder = Path(os.path.realpath(place.parent))
        if folder.parts[1:2] == ("proc",):
            raise ModelFileError(
                target, "cannot be written: it is a stream that is open; name a file"
            )
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


def _check_directory(target: Path, place: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise ModelFileError(target, "exists already and is no directory; name another")
    remove_leftovers(place)
    if set(place.iterdir()) - set(_hidden(place, place)):
        raise ModelFileError(target, "exists already and is not empty; name another directory")
    _require_writable(place)


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder} is not writable")


def _refusal(target: Path, error: OSError | ValueError) -> ModelFileError:
    reason = getattr(error, "strerror", None) or error
    return ModelFileError(target, f"cannot be written: {reason}")


def _hand_on(status: os.stat_result | None, path: Path) -> None:
    """Give a new file the mode and owner of the one that it replaces, else what umask says."""
    if status is None:
        os.chmod(path, 0o666 & ~_umask())
        return
    with contextlib.suppress(PermissionError):  # whose it is only root can choose
        os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))


def _publish(temporary: Path, target: Path, place: Path) -> None:
    """Link the files of ``temporary`` into ``place``, all of them or none."""
    names = sorted((path.name for path in temporary.iterdir()), reverse=True)
    done: list[str] = []
    lock = os.open(place, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if set(place.iterdir()) - set(_hidden(place, place)):
            raise ModelFileError(target, "has been filled meanwhile; name another directory")
        for name in names:
            done.append(name)
            _link(temporary / name, place / name)
    except BaseException:
        for name in done:
            if _same(temporary / name, place / name) or not (temporary / name).exists():
                (place / name).unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        os.rename(source, target)  # a file system without links


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _hidden(folder: Path, target: Path) -> Iterator[Path]:
    """Yield what writers of ``target`` have in a folder, living or dead."""
    ours = re.compile(re.escape(_prefix(target)) + "[0-9a-z_]{8}" + re.escape(SUFFIX))
    with contextlib.suppress(OSError):
        yield from [Path(e.path) for e in os.scandir(folder) if ours.fullmatch(e.name)]


def _prefix(target: Path) -> str:
    """Return how hidden names begin: with the target's own, or its digest where that is long."""
    longest = 255
    with contextlib.suppress(OSError, ValueError):
        longest = os.pathconf(target.parent, "PC_NAME_MAX")
    name = os.fsencode(target.name)
    if len(name) + len(f"..12345678{SUFFIX}") <= longest:
        return f".{target.name}."
    return f".{hashlib.sha256(name).hexdigest()[:32]}."


@contextlib.contextmanager
def _staged(target: Path, place: Path, make: Callable[[], Path]) -> Iterator[Path]:
    """Yield what ``make`` makes, locked; delete it unless the block has renamed it."""
    try:
        remove_leftovers(place)
        temporary, lock = _claim(make)
        try:
            yield temporary
        finally:
            _delete(temporary)
            os.close(lock)
    except OSError as error:
        raise _refusal(target, error) from error


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


def _remove_unless_held(path: Path, target: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.parent == target:
            _withdraw(path, target)
        _delete(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _withdraw(path: Path, target: Path) -> None:
    """Take back what a killed writer had linked into its target, unless that was all."""
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    linked = [name for name in names if _same(path / name, target / name)]
    if len(linked) < len(names):
        for name in linked:
            (target / name).unlink()


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
