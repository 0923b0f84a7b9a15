"""What the writers of every format share: where a tensor's bytes come from, and their count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.errors import EngineError, ModelFileError
from inference.formats.base import ModelFile
from inference.formats.layout import tensor_nbytes
from inference.quant.types import TensorType

Pieces = Iterable[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class TensorSource:
    """A tensor to be written: ``name`` as the file shall have it, ``shape`` rows first.

    ``pieces`` yields the packed bytes in order, in pieces of any size; it may be called again.
    """

    name: str
    dtype: TensorType
    shape: tuple[int, ...]
    pieces: Callable[[], Pieces]

    @property
    def nbytes(self) -> int:
        """Size of the packed bytes without padding."""
        return tensor_nbytes(self.dtype, self.shape)


def checked_pieces(target: Path, tensor: TensorSource) -> Iterator[bytes | memoryview]:
    """Yield a tensor's pieces; ``ModelFileError`` when they are not as many bytes as it takes."""
    written = 0
    for piece in tensor.pieces():
        written += len(piece)
        yield piece
    if written != tensor.nbytes:
        raise ModelFileError(
            target, f"tensor {tensor.name!r} came as {written:,} bytes, not {tensor.nbytes:,}"
        )


def digest_of(file: ModelFile, name: str) -> str:
    """Return the SHA-256 of a tensor's packed bytes."""
    return hashlib.sha256(file.raw(name).data).hexdigest()


def refuse_duplicates(target: Path, names: Iterable[str]) -> None:
    """Raise ``EngineError`` when two tensors would get the same name in a file."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EngineError(f"{target}: two tensors would be called {name!r}")
        seen.add(name)
