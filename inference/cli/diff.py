"""`apr diff`: two recorded stages, or two models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from inference.cli.common import ExitCode, JsonOption, model_path, print_json
from inference.errors import InputError
from inference.formats.aprt import MAGIC
from inference.trace.diff import StageDiff, diff_stages

EXAMPLES = """
apr diff a/layer-3/ffn_gate.bin b/layer-3/ffn_gate.bin --values --limit 5
apr diff model.gguf model.apr --values --json
"""


def app_command(
    a: Annotated[str, typer.Argument(help="A stage file (APRT), a model file or a registry id.")],
    b: Annotated[str, typer.Argument(help="Another of the same kind.")],
    values: Annotated[
        bool, typer.Option("--values", help="Measure how far differing tensors are apart.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many differences to list; at least 1.")] = 10,
    json: JsonOption = False,
) -> int:
    """Compare two APRT stage files value by value, or two models tensor by tensor.

    The exit code is 0 when nothing differs and 1 when something does.
    """
    if Path(a).exists() and Path(b).exists() and Path(a).samefile(b):
        raise InputError(f"apr diff {a} {b} compares a file with itself")
    if _is_stage_file(a) and _is_stage_file(b):
        return _diff_stage_files(Path(a), Path(b), limit, json)
    return _diff_models(a, b, values=values, limit=limit, json=json)


def _is_stage_file(name: str) -> bool:
    path = Path(name)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _diff_stage_files(a: Path, b: Path, limit: int, json: bool) -> int:
    diff = diff_stages(a, b, limit=limit)
    if json:
        print_json(diff.to_json())
    else:
        for line in _stage_report(diff):
            typer.echo(line)
    return ExitCode.OK if diff.values.max_abs_diff == 0.0 else ExitCode.FAILED


def _stage_report(diff: StageDiff) -> list[str]:
    v = diff.values
    rows = [
        f"A: {diff.path_a}",
        f"B: {diff.path_b}",
        f"Layer: {'whole-model' if diff.layer is None else diff.layer}",
        f"Elements: {v.elements}",
        f"max|diff|: {v.max_abs_diff:.6e} at index {v.max_abs_diff_index}",
        f"RMS diff: {v.rms_diff:.6e}",
        f"Cosine: {v.cosine_sim:.10f}",
    ]
    width = max(map(len, rows))
    box = [f"│ {row:<{width}} │" for row in rows]
    edge = "─" * (width + 2)
    listed = [
        f"  [{top.index}] a={top.a:.6e} b={top.b:.6e} |diff|={top.abs_diff:.6e}"
        for top in v.top_diffs
    ]
    return [f"┌{edge}┐", *box, f"└{edge}┘", f"Largest {len(listed)} differences:", *listed]


def _diff_models(a: str, b: str, *, values: bool, limit: int, json: bool) -> int:
    from inference.compare.files import compare_models
    from inference.formats import open_model
    from inference.formats.mapped import check_unchanged

    first, second = open_model(model_path(a)), open_model(model_path(b))
    try:
        diff = compare_models(first, second, values=values)
        for file in (first, second):
            check_unchanged(file.path)
    finally:
        first.close()
        second.close()
    if json:
        document: dict[str, Any] = asdict(diff)
        print_json({"schema": "apr-model-diff-v1", "a": a, "b": b, "equal": diff.equal, **document})
    else:
        typer.echo(f"Compared {diff.compared} tensors: {diff.identical} identical, "
                   f"{len(diff.different)} different")  # fmt: skip
        for title, names in (("Only in A", diff.only_a), ("Only in B", diff.only_b)):
            if names:
                typer.echo(f"{title}: {len(names)} ({', '.join(names[:limit])})")
        for tensor in diff.different[: max(limit, 1)]:
            line = f"  {tensor.name}: {tensor.a} / {tensor.b}"
            if tensor.max_abs_diff is not None:
                line += (
                    f", max|diff| {tensor.max_abs_diff:.6e}, RMS {tensor.rms_diff:.6e}, "
                    f"cosine {tensor.cosine_sim:.10f}"
                )
            typer.echo(line)
    return ExitCode.OK if diff.equal else ExitCode.FAILED
