"""Compression of single tensors in APR files, and expansion that a file cannot abuse.

A compressed tensor is one LZ4 or Zstandard frame. Its size when expanded follows from its type and
shape, so a reader allocates that much and not a byte more, and refuses what would grow beyond
``MAX_RATIO`` before it allocates anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.formats.apr.layout import Flag

Compression = Literal["lz4", "zstd"]

FLAGS: dict[Compression, Flag] = {"lz4": Flag.LZ4, "zstd": Flag.ZSTD}

MAX_RATIO = 256
"""How many times its stored size a tensor may have; LZ4 cannot do better either."""

_STEP = 1 << 20
_ZSTD_LEVEL = 3
_MAX_WINDOW = 1 << 27


class Packer(Protocol):
    """What takes the pieces of one frame."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Return what is ready of the frame so far."""
        ...

    def flush(self) -> bytes:
        """Return the end of the frame."""
        ...


def packer(compression: Compression) -> Packer:
    """Return a compressor for one frame."""
    if compression == "zstd":
        import zstandard

        made: Packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        return made
    return _Lz4Packer()


class _Lz4Packer:
    """LZ4's compressor behind the interface of the others: its frame has a beginning."""

    def __init__(self) -> None:
        import lz4.frame

        self._frame: Any = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes | memoryview, /) -> bytes:
        head: bytes = b"" if self._begun else self._frame.begin()
        self._begun = True
        body: bytes = self._frame.compress(bytes(data))
        return head + body

    def flush(self) -> bytes:
        head: bytes = b"" if self._begun else self._frame.begin()
        tail: bytes = self._frame.flush()
        return head + tail


def expand(stored: NDArray[np.uint8], flag: Flag, nbytes: int) -> NDArray[np.uint8]:
    """Return the ``nbytes`` bytes of a frame; no more is ever produced.

    ``ValueError`` when the frame is damaged, or is longer or shorter than that.
    """
    out = np.empty(nbytes, np.uint8)
    at = 0
    for piece in _EXPANDERS[flag](stored.data):
        if len(piece) > nbytes - at:
            raise ValueError(f"expands to more than {nbytes:,} bytes")
        out[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    if at != nbytes:
        raise ValueError(f"expands to {at:,} bytes, not {nbytes:,}")
    out.flags.writeable = False
    return out


def _expand_lz4(data: memoryview) -> Iterator[bytes]:
    import lz4.frame

    frame = lz4.frame.LZ4FrameDecompressor()
    at = 0
    try:
        while not frame.eof:
            # What a call leaves unread is copied by the next, so it gets no more than it may use.
            fed = data[at : at + _STEP] if frame.needs_input else b""
            at += len(fed)
            piece = frame.decompress(fed, max_length=_STEP)
            if not piece and frame.needs_input and at == len(data) and not frame.eof:
                raise ValueError("the frame ends too early")
            yield piece
    except RuntimeError as error:
        raise ValueError(f"damaged LZ4 frame: {error}") from error
    if frame.unused_data or at < len(data):
        raise ValueError("bytes follow the frame")


def _expand_zstd(data: memoryview) -> Iterator[bytes]:
    import zstandard

    expander = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        with expander.stream_reader(data, read_across_frames=False) as reader:
            while piece := reader.read(_STEP):
                yield piece
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged Zstandard frame: {error}") from error


_EXPANDERS: dict[Flag, Callable[[memoryview], Iterator[bytes]]] = {
    Flag.LZ4: _expand_lz4,
    Flag.ZSTD: _expand_zstd,
}
