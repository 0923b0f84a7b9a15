"""What the commands that write models share: names of formats and types, progress, the report."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inference.cli.common import print_json

if TYPE_CHECKING:
    from inference.quant.types import TensorType
    from inference.surgery.converting import ConversionReport, Format
    from inference.surgery.tensors import Progress

FormatName = Literal["gguf", "apr", "hf"]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", help="What to write: NAME.gguf, NAME.apr, or a directory."),
]
FormatOption = Annotated[
    FormatName | None,
    typer.Option("--format", help="Format to write; by default what the output's name says."),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--max-shard-size",
        metavar="SIZE",
        help="Write a directory of files of at most 2GB, 500MB …",
    ),
]
CompressOption = Annotated[
    Literal["lz4", "zstd"] | None,
    typer.Option("--compress", help="Compress the tensors of an APR file."),
]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def format_of(output: Path, stated: FormatName | None) -> Format:
    """Return the format to write: as stated, else by the name; a bare name is a directory.

    Raises:
        BadParameter: the name ends in something that is no format.
    """
    if stated is not None:
        return stated
    match output.suffix.lower():
        case ".gguf":
            return "gguf"
        case ".apr":
            return "apr"
        case ".safetensors":
            raise typer.BadParameter(
                f"{output}: safetensors models are directories; name one, or pass --format hf"
            )
    return "hf"


def size_in_bytes(text: str | None) -> int | None:
    """Return the bytes of ``2GB``, ``500MB``, ``1GiB`` or a plain number."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,15}) ?([A-Za-z]*)", text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise typer.BadParameter(f"{text!r} is no size; write 2GB, 500MB or a number of bytes")
    return int(match[1]) * unit


def type_of(name: str | None) -> TensorType | None:
    """Return the tensor type of that name, in any case."""
    from inference.quant import WRITABLE
    from inference.quant.types import type_named

    if name is None:
        return None
    try:
        return type_named(name)
    except KeyError:
        known = ", ".join(sorted(dtype.name for dtype in WRITABLE))
        raise typer.BadParameter(f"no type is called {name!r}; there are {known}") from None


def write_model(
    source: Path, write: Callable[[Progress | None], ConversionReport], *, as_json: bool
) -> None:
    """Let ``write`` write a model, under a bar that shows its progress, and print what it wrote."""
    begin = time.perf_counter()
    with _progress_bar(source.name, shown=not as_json) as advance:
        report = write(advance)
    _show_report(report, time.perf_counter() - begin, as_json=as_json)


def _show_report(report: ConversionReport, seconds: float, *, as_json: bool) -> None:
    """Print what a command wrote."""
    if as_json:
        print_json(
            {
                "source": str(report.source),
                "target": str(report.target),
                "format": report.format,
                "architecture": report.architecture,
                "tensors": report.tensors,
                "tensors_kept": report.kept,
                "types": report.types,
                "bytes": report.nbytes,
                "seconds": round(seconds, 3),
                "sha256": report.digests,
            }
        )
        return
    kept = "every digest equal" if report.kept == report.tensors else f"{report.kept} kept as is"
    types = ", ".join(f"{count} {name}" for name, count in sorted(report.types.items()))
    typer.echo(
        f"{report.target}: {report.tensors} tensors, {report.nbytes:,} bytes, {kept} "
        f"({seconds:.1f} s)"
    )
    if report.kept != report.tensors:
        typer.echo(f"  {types}")


@contextmanager
def _progress_bar(title: str, *, shown: bool) -> Iterator[Progress | None]:
    """Draw a bar on standard error while a model is written."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("write", total=None)
        yield lambda _, done, total: bar.update(task, completed=done, total=total)
