"""`apr import`: a GGUF file or a Hugging Face directory becomes one APR file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from inference.cli.common import JsonOption, ModelArgument, model_path, print_json
from inference.surgery.importing import Progress, import_model

EXAMPLES = """
apr import model.gguf -o model.apr
apr import path/to/hf-directory --json
"""


def app_command(
    model: ModelArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; NAME.apr here by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a GGUF file or a Hugging Face directory to APR, byte for byte.

    Every tensor keeps its bytes; tokenizer and metadata are embedded. The new file is verified
    before it takes the place of an old one.
    """
    source = model_path(model)
    target = output or Path(f"{source.resolve().name.removesuffix('.gguf')}.apr")
    begin = time.perf_counter()
    with _progress(source, shown=not as_json and sys.stderr.isatty()) as advance:
        report = import_model(source, target, progress=advance)
    seconds = time.perf_counter() - begin
    if as_json:
        print_json(
            {
                "source": str(source),
                "target": str(target),
                "architecture": report.architecture,
                "tensors": report.tensors,
                "bytes": report.nbytes,
                "seconds": round(seconds, 3),
                "sha256": report.digests,
            }
        )
    else:
        typer.echo(
            f"{target}: {report.tensors} tensors, {report.nbytes:,} bytes, every digest equal "
            f"({seconds:.1f} s)"
        )


@contextmanager
def _progress(source: Path, *, shown: bool) -> Iterator[Progress | None]:
    """Draw a bar on standard error while the import runs."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn(source.name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("import", total=None)
        yield lambda _, done, total: bar.update(task, completed=done, total=total)
