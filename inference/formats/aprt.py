"""APRT trace files: one stage of one layer as float32 values behind a 12-byte header.

Magic ``APRT``, u32 layer (0xFFFFFFFF for stages of the whole model), u32 number of values, then the
values; all little-endian, the positions of a prompt one after another. The stage is known by the
file's name alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError
from inference.staging import staged_file

MAGIC = b"APRT"
WHOLE_MODEL = 0xFFFF_FFFF
MAX_VALUES = (1 << 32) - 1
_HEADER = struct.Struct("<4sII")


@dataclass(frozen=True, slots=True, eq=False)
class StageFile:
    """One recorded stage: ``layer`` is ``None`` for the whole model, ``values`` float32 [n]."""

    layer: int | None
    values: NDArray[np.float32]


def stage_path(directory: str | Path, stage: str, layer: int | None) -> Path:
    """Return where a stage is kept: ``layer-<N>/<stage>.bin``, or ``<stage>.bin`` without layer."""
    folder = Path(directory)
    if layer is not None:
        folder /= f"layer-{layer}"
    return folder / f"{stage}.bin"


def write_aprt(path: str | Path, layer: int | None, values: NDArray[np.float32]) -> None:
    """Write float32 values of any shape, bit patterns kept; missing directories are made.

    ``ValueError`` for more than 2³²−1 values or a layer that a u32 below the marker cannot hold,
    ``TypeError`` for other element types.
    """
    path = Path(path)
    if values.dtype != np.float32:
        raise TypeError(f"trace values must be float32, not {values.dtype}")
    if values.size > MAX_VALUES:
        raise ValueError(f"{values.size:,} values; a trace file holds {MAX_VALUES:,}")
    if layer is not None and not 0 <= layer < WHOLE_MODEL:
        raise ValueError(f"layer {layer} is outside 0..{WHOLE_MODEL - 1:#x}")
    header = _HEADER.pack(MAGIC, WHOLE_MODEL if layer is None else layer, values.size)
    data = np.ascontiguousarray(values, dtype="<f4").reshape(-1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged_file(path, durable=False) as temporary, temporary.open("wb") as file:
            file.write(header)
            file.write(data.data)
    except OSError as error:
        raise ModelFileError(path, f"cannot be written: {error.strerror or error}") from error


def read_aprt(path: str | Path) -> StageFile:
    """Read a trace file; ``ModelFileError`` when it is truncated, too long or of another kind."""
    path = Path(path)
    try:
        if not path.is_file():
            raise ModelFileError(path, "no such file")
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise ModelFileError(
                    path, f"truncated header: {len(header)} bytes, not {_HEADER.size}", offset=0
                )
            magic, layer, count = _HEADER.unpack(header)
            if magic != MAGIC:
                raise ModelFileError(path, f"bad magic {magic!r}, not {MAGIC!r}", offset=0)
            expected = _HEADER.size + 4 * count
            if size < expected:
                raise ModelFileError(
                    path,
                    f"truncated body: {count:,} values need {expected:,} bytes, not {size:,}",
                    offset=size,
                )
            if size > expected:
                raise ModelFileError(
                    path, f"{size - expected:,} bytes follow the last value", offset=expected
                )
            values = np.frombuffer(file.read(4 * count), "<f4")
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
    return StageFile(None if layer == WHOLE_MODEL else layer, values)
