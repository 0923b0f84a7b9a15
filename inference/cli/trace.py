"""`apr trace`: look at every stage of a forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference.cli.common import (
    BackendOption,
    JsonOption,
    ModelArgument,
    NumericsOption,
    model_path,
    print_json,
    styled,
)
from inference.errors import InputError
from inference.model.stages import Stage
from inference.trace.plan import TracePlan

if TYPE_CHECKING:
    from inference.engine.model import Model
    from inference.trace.activations import Trace

PROMPT = "What is 2+2?"

EXAMPLES = """
apr trace model.gguf --payload
apr trace model.apr --payload --save-tensor ffn_gate,ffn_swigl --save-tensor-layers 3..4
"""


def app_command(
    model: ModelArgument,
    payload: Annotated[
        bool, typer.Option("--payload", help="Run a prompt through the model (always done).")
    ] = True,
    prompt: Annotated[str, typer.Option(help="The text to run.")] = PROMPT,
    ids: Annotated[
        str | None, typer.Option(help="Token ids to run in place of a text: 3838,374,220")
    ] = None,
    save_tensor: Annotated[
        str,
        typer.Option(
            metavar="STAGE[,STAGE...]", help=f"Stages to save, or all: {', '.join(Stage)}."
        ),
    ] = "",
    save_tensor_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to; default MODEL-trace beside the model, such as m.gguf-trace.",
        ),
    ] = None,
    save_tensor_layers: Annotated[
        str, typer.Option(metavar="START..END", help="Layers to save, END excluded.")
    ] = "0..1",
    numerics: NumericsOption = "fused",
    backend: BackendOption = "auto",
    json: JsonOption = False,
) -> None:
    """Run a prompt and report statistics of ten slots per layer, the logits, and the stages saved.

    Stages are saved as APRT files: DIR/layer-N/STAGE.bin and, for the whole model, DIR/STAGE.bin.
    """
    plan = TracePlan.parse(save_tensor, save_tensor_layers)
    tokens = None if ids is None else _parse_ids(ids)

    import inference
    from inference.trace.save import check_stages, save_stages

    path = model_path(model)
    with inference.load(path, backend=backend, numerics=numerics) as lm:
        folder = save_tensor_dir or path.resolve().with_name(f"{path.resolve().name}-trace")
        check_stages(plan.within(lm.config.layers), range(lm.config.layers), folder)
        if tokens is None:
            tokens = lm.tokenizer.encode(prompt)
        trace = lm.trace(tokens, plan)
        saved = save_stages(trace, folder)
        if json:
            print_json(_document(lm, trace, saved))
        else:
            _print(lm, None if ids is not None else prompt, trace, saved)


def _parse_ids(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--ids {text!r} is not a list of integers such as 3838,374") from None


def _document(lm: Model, trace: Trace, saved: list[Path]) -> dict[str, Any]:
    from inference.trace.report import top_tokens

    c = lm.config
    return {
        "schema": "apr-trace-v1",
        "model": str(lm.file.path),
        "format": lm.file.format,
        "numerics": lm.numerics,
        "architecture": {
            "name": c.architecture,
            "layers": c.layers,
            "hidden": c.hidden,
            "vocab": c.vocab,
            "heads": c.heads,
        },
        **trace.forward.to_json(),
        "top_predictions": [
            {"token_id": token, "logit": float(trace.logits[token])}
            for token in top_tokens(trace.forward, 5)
        ],
        "saved": [{"path": str(path), "bytes": path.stat().st_size} for path in saved],
    }


def _print(lm: Model, prompt: str | None, trace: Trace, saved: list[Path]) -> None:
    from inference.trace.report import render_forward

    c = lm.config
    typer.echo(f"Format: {lm.file.format}")
    typer.echo(f"Architecture: {c.architecture}")
    typer.echo(f"  Layers: {c.layers}")
    typer.echo(f"  Hidden dim: {c.hidden}")
    typer.echo(f"  Vocab size: {c.vocab}")
    typer.echo(f"  Heads: {c.heads}")
    if prompt is not None:
        typer.echo(f"Test prompt: {prompt!r}")
    typer.echo(f"Tokens: {list(trace.forward.input_tokens)}\n")
    for line in render_forward(trace.forward):
        typer.echo(styled(line.text, line.colour))
    if saved:
        typer.echo("\nSAVED STAGES:")
        for path in saved:
            typer.echo(f"  {path} ({path.stat().st_size:,} bytes)")
