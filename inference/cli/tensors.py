"""`apr tensors`: what a model file is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference.cli.common import JsonOption, ModelArgument, model_path, print_json
from inference.errors import InputError

if TYPE_CHECKING:
    from inference.formats import ModelFile
    from inference.trace.statistics import ActivationStats

EXAMPLES = """
apr tensors model.gguf
apr tensors model.gguf --filter "blk.0.*" --stats
apr tensors model.apr --filter "*norm*" --json
"""


def app_command(
    model: ModelArgument,
    pattern: Annotated[
        str,
        typer.Option("--filter", metavar="GLOB", help="Only tensors whose name matches."),
    ] = "*",
    stats: Annotated[
        bool, typer.Option("--stats", help="Expand each and report its range, mean and spread.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List names, shapes (rows first), types and bytes, in the order of the file.

    Names are GGUF's, whatever the file calls them; a filter matches either, such as "blk.*.ffn_*".
    """
    from inference.cli.inspect import described, printable
    from inference.formats import open_model
    from inference.formats.mapped import check_unchanged

    path = model_path(model)
    with open_model(path) as file:
        infos = [
            info
            for info in sorted(file.tensors.values(), key=lambda info: info.offset)
            if fnmatchcase(info.name, pattern) or fnmatchcase(info.file_name, pattern)
        ]
        if not infos:
            raise InputError(f"no tensor of {path} matches {pattern!r}")
        rows = [described(info) | (_statistics(file, info.name) if stats else {}) for info in infos]
        check_unchanged(path)
    if as_json:
        print_json({"model": str(path), "tensors": rows})
    else:
        for line in _lines(rows):
            typer.echo(printable(line))


def _statistics(file: ModelFile, name: str) -> dict[str, Any]:
    from inference.compare.files import strips
    from inference.trace.statistics import ActivationStats

    total: ActivationStats = ActivationStats()
    for values in strips(file, name):
        total = total.joined(ActivationStats.of(values))
    return {"stats": asdict(total)}


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        shape = " × ".join(str(size) for size in row["shape"])
        line = f"{row['name']:<{width}}  {row['type']:<6} {row['bytes']:>13,}  {shape}"
        if "stats" in row:
            s = row["stats"]
            line = f"{line:<{width + 42}}  {s['min']:10.4g} … {s['max']:<10.4g} "
            line += f"mean {s['mean']:10.3g}  std {s['std_dev']:.3g}"
            if s["nan_count"] or s["inf_count"]:
                line += f"  NaN {s['nan_count']:,}  Inf {s['inf_count']:,}"
        yield line
    yield f"{len(rows)} tensors, {sum(row['bytes'] for row in rows):,} bytes"
