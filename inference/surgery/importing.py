"""Import of GGUF files and Hugging Face directories into APR v2, byte for byte."""

from __future__ import annotations

from pathlib import Path

from inference.errors import UnsupportedFormatError
from inference.formats import open_model
from inference.surgery.converting import ConversionReport, convert_model
from inference.surgery.tensors import Progress


def import_model(
    source: str | Path, target: str | Path, *, progress: Progress | None = None
) -> ConversionReport:
    """Import a GGUF file or a Hugging Face directory as the APR v2 file ``target``.

    Every tensor keeps its bytes and its type; the digests of source and target are compared before
    the target takes its place. Tokenizer and metadata are embedded. ``ModelFileError`` or
    ``TokenizerError`` when the source is damaged or carries no usable tokenizer; the target is then
    left as it was.
    """
    with open_model(source) as file:
        if file.format == "apr":
            raise UnsupportedFormatError(source, "is an APR file already")
    return convert_model(source, target, format="apr", progress=progress)
