"""A session on disk: the tokens it has seen, and their keys and values, in a safetensors file.

The file names the model and the numeric path that computed it, and a digest of its content, so
that a damaged file or another model's is refused instead of continued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import InputError, ModelFileError
from inference.formats.base import ModelFile
from inference.model.config import ModelConfig
from inference.staging import staged_file

if TYPE_CHECKING:
    from inference.decode.session import Session

FORMAT = "apr-session-v1"
_ARRAYS = {"ids": np.dtype(np.int64), "keys": np.dtype(np.float32), "values": np.dtype(np.float32)}
_EDGE = 64


def identity(file: ModelFile, config: ModelConfig, numerics: str) -> str:
    """Return a digest of the configuration and of every tensor's type, shape and edge bytes."""
    digest = hashlib.sha256(f"{config} {numerics}".encode())
    for name, info in sorted(file.tensors.items()):
        raw = file.raw(name).reshape(-1)
        digest.update(f"{name} {info.dtype.name} {info.shape}".encode())
        digest.update(raw[:_EDGE].tobytes() + raw[-_EDGE:].tobytes())
    return digest.hexdigest()


def save_session(session: Session, path: Path, model: str) -> None:
    """Write a session of the model with that identity; an old file gives way when all is written.

    ``ModelFileError`` when the file cannot be written; nothing is left of it then.
    """
    from safetensors.numpy import save

    ids, keys, values = session.snapshot()
    arrays: dict[str, NDArray[Any]]
    arrays = {"ids": np.array(ids, np.int64), "keys": keys, "values": values}
    metadata = {"format": FORMAT, "model": model, "sha256": _digest(arrays)}
    with staged_file(path) as temporary:
        temporary.write_bytes(save(arrays, metadata=metadata))


def load_session(session: Session, path: Path, model: str) -> None:
    """Fill a fresh session from a file.

    Raises:
        ModelFileError: no session file, a damaged one, or one that fits no model like this.
        InputError: it was saved by another model or on another numeric path.
    """
    metadata, arrays = _read(path)
    if metadata.get("format") != FORMAT or {k: a.dtype for k, a in arrays.items()} != _ARRAYS:
        raise ModelFileError(path, "is not a saved session")
    if metadata.get("sha256") != _digest(arrays):
        raise ModelFileError(path, "the saved session is damaged: its digest does not match")
    if metadata.get("model") != model:
        raise InputError(f"{path}: was saved by another model, or on another numeric path")
    try:
        session.restore(arrays["ids"].tolist(), arrays["keys"], arrays["values"])
    except ValueError as error:
        raise ModelFileError(path, f"the saved session does not fit: {error}") from error


def _read(path: Path) -> tuple[Mapping[str, str], Mapping[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):  # the library does not say which file is missing
        pass
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(path, f"is not a saved session: {error}") from error


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
