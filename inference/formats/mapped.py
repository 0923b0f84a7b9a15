"""A read-only memory map whose reads are checked against its end."""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.disguised import HEAD, disguise
from inference.formats.faults import changed, check_faults, watch


class Closing:
    """What a ``with`` block needs of something that has to be closed."""

    def close(self) -> None:
        """Release what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MappedFile(Closing):
    """A file mapped read-only; views of it stay valid after ``close`` and keep the map alive.

    Where the file becomes shorter meanwhile, views show zeros, and the next of our calls raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():
                raise ModelFileError(path, "no such file")
            with path.open("rb") as file:
                self._status = os.fstat(file.fileno())
                self.size = self._status.st_size
                if self.size == 0:
                    raise ModelFileError(path, "the file is empty", offset=0)
                if (what := disguise(file.read(HEAD))) is not None:
                    raise UnsupportedFormatError(path, what, offset=0)
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
        self._address = int(np.frombuffer(self.map, np.uint8).__array_interface__["data"][0])
        self._forget = watch(self._address, self.size, path)
        weakref.finalize(self.map, self._forget)
        _open.add(self)

    def check_unchanged(self) -> None:
        """Raise ``ModelFileError`` if the file is not as it was when it was opened.

        One that was deleted or replaced by another is: what is mapped is still the old one.
        """
        check_faults([self._address])
        if self.map.closed:
            return
        before, now = self._status, None
        with contextlib.suppress(OSError):
            now = self.path.stat()
        replaced = now is None or (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino)
        written = not replaced and now is not None and now.st_mtime_ns != before.st_mtime_ns
        if written or self.map.size() != self.size:
            raise changed(self.path)

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Return a copy of ``size`` bytes; ``ModelFileError`` when the file ends before."""
        if size > self.size - offset:
            raise ModelFileError(
                self.path,
                f"{what} needs {size:,} bytes; the file ends at {self.size:#x}",
                offset=offset,
            )
        data = self.map[offset : offset + size]
        check_faults([self._address])
        return data

    def view(self, offset: int, size: int) -> NDArray[np.uint8]:
        """Return ``size`` bytes as a read-only array that shares the map."""
        check_faults([self._address])
        return np.frombuffer(self.map, np.uint8, size, offset)

    def close(self) -> None:
        """Release the map, or leave it to the last view that is still alive."""
        with contextlib.suppress(BufferError):
            self.map.close()
            self._forget()


_open: weakref.WeakSet[MappedFile] = weakref.WeakSet()


def check_unchanged(path: Path) -> None:
    """Raise ``ModelFileError`` if an open file at a path, or in it, is not as it was."""
    for file in list(_open):
        if file.path == path or path in file.path.parents:
            file.check_unchanged()


def check_extents(path: Path, tensors: list[TensorInfo], start: int, end: int) -> None:
    """Refuse tensors that overlap each other or lie outside bytes ``start`` to ``end``."""
    before: TensorInfo | None = None
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.nbytes)):
        if tensor.offset < start or tensor.offset + tensor.nbytes > end:
            raise ModelFileError(
                path,
                f"tensor {tensor.file_name!r} ({tensor.dtype.name}) needs {tensor.nbytes:,} bytes; "
                f"tensor data lie in {start:#x}..{end:#x}",
                offset=tensor.offset,
            )
        if before is not None and before.offset + before.nbytes > tensor.offset:
            raise ModelFileError(
                path,
                f"tensors {before.file_name!r} and {tensor.file_name!r} overlap",
                offset=tensor.offset,
            )
        before = tensor
