"""Which reader a file needs, decided by its content and never by its name."""

from __future__ import annotations

from pathlib import Path

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.apr.reader import AprFile
from inference.formats.apr.shards import AprShards
from inference.formats.base import ModelFile
from inference.formats.disguised import HEAD, disguise
from inference.formats.gguf.parts import open_gguf
from inference.formats.hf.reader import HfDirectory

_KINDS = "GGUF files, APR v2 files and Hugging Face directories are"


def open_model(path: str | Path) -> ModelFile:
    """Open a GGUF file, an APR v2 file or set of files, or a Hugging Face directory.

    ``ModelFileError`` when the file is damaged, ``UnsupportedFormatError`` when it is of another
    kind.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _open_directory(path)
        if not path.is_file():
            raise ModelFileError(path, "no such file or directory")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
    if head[:4] == b"GGUF":
        return open_gguf(path)
    if head[:3] == b"APR":
        return _open_apr(path)
    if head[8:9] == b"{" or path.name.endswith(".safetensors"):
        raise UnsupportedFormatError(
            path, "is a bare safetensors file; open the directory that also has its config.json"
        )
    if (what := disguise(head)) is not None:
        raise UnsupportedFormatError(path, what, offset=0)
    raise UnsupportedFormatError(
        path, f"begins with {head[:4]!r}, which no reader knows; {_KINDS} read", offset=0
    )


def _open_directory(path: Path) -> ModelFile:
    is_set = not (path / "config.json").exists() and any(path.glob("*-of-*.apr"))
    return AprShards(path) if is_set else HfDirectory(path)


def _open_apr(path: Path) -> ModelFile:
    """Open an APR file, or the whole set that it is one of."""
    file = AprFile(path, shard=True)
    if not file.sharded:
        return file
    file.close()
    return AprShards(path.parent)
