"""A read-only memory map whose reads are checked against its end."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.disguised import HEAD, disguise


class Closing:
    """What a ``with`` block needs of something that has to be closed."""

    def close(self) -> None:
        """Release what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MappedFile:
    """A file mapped read-only; views of it stay valid after ``close`` and keep the map alive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():
                raise ModelFileError(path, "no such file")
            with path.open("rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size == 0:
                    raise ModelFileError(path, "the file is empty", offset=0)
                if (what := disguise(file.read(HEAD))) is not None:
                    raise UnsupportedFormatError(path, what, offset=0)
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Return a copy of ``size`` bytes; ``ModelFileError`` when the file ends before."""
        if size > self.size - offset:
            raise ModelFileError(
                self.path,
                f"{what} needs {size:,} bytes; the file ends at {self.size:#x}",
                offset=offset,
            )
        return self.map[offset : offset + size]

    def view(self, offset: int, size: int) -> NDArray[np.uint8]:
        """Return ``size`` bytes as a read-only array that shares the map."""
        return np.frombuffer(self.map, np.uint8, size, offset)

    def close(self) -> None:
        """Release the map, or leave it to the last view that is still alive."""
        with contextlib.suppress(BufferError):
            self.map.close()


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
