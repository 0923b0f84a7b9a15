"""`apr bench`: how fast a model reads prompts and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.cli.common import JsonOption, ModelArgument, NumericsOption, model_path, print_json
from inference.cli.streams import say

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = """
apr bench qwen2.5-coder-0.5b-instruct
apr bench model.gguf --threads 2 --rounds 9 --vs llama.cpp
apr bench model.gguf --prompt-tokens 64 --tokens 16 --json
"""

_LISTED = 8


def app_command(
    model: ModelArgument,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Length of the prompt.")] = 256,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to decode.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads; by default one per processor.")
    ] = None,
    vs: Annotated[
        Literal["llama.cpp"] | None,
        typer.Option("--vs", help="Measure this engine in turns with ours."),
    ] = None,
    max_load: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of the machine that others may use meanwhile."),
    ] = 0.1,
    numerics: NumericsOption = "fused",
    json: JsonOption = False,
) -> None:
    """Measure prefill, decoding, time to the first token, memory, and where the time goes.

    Every engine runs in a process of its own, in turns, so that all meet the same machine. A round
    counts only if other processes left the machine alone; the figures are medians of those rounds.
    """
    from inference.bench.engines import require_llama_cpp
    from inference.bench.measure import Plan, bench
    from inference.threads import available

    path = model_path(model)
    _refuse_what_does_not_fit(path, prompt_tokens, tokens)
    if vs is not None:
        require_llama_cpp(path)
    plan = Plan(
        prompt=prompt_tokens,
        tokens=tokens,
        rounds=rounds,
        threads=threads or available(),
        numerics=numerics,
        max_load=max_load,
        with_llama_cpp=vs is not None,
    )
    report = {"model": str(path), "numerics": numerics, **bench(path, plan)}
    if not report["quiet_rounds"]:
        say(
            f"apr: other processes used more than {max_load:.0%} of the machine in every round; "
            "take the figures as a lower bound, or wait until it is quiet"
        )
    if json:
        print_json(report)
    else:
        for line in render(report):
            typer.echo(line)


def _refuse_what_does_not_fit(path: Path, prompt: int, tokens: int) -> None:
    from inference.errors import ContextOverflowError
    from inference.formats import open_model
    from inference.formats.config import model_config

    with open_model(path) as file:
        capacity = model_config(file).context_length
    if prompt + tokens > capacity:
        raise ContextOverflowError(
            f"{prompt} prompt tokens and {tokens} new ones do not fit a context of {capacity}"
        )


def render(report: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that `apr bench` prints for its report."""
    yield (
        f"{report['model']}: {report['numerics']}, {report['threads']} threads, "
        f"prompt of {report['prompt_tokens']} tokens, {report['decoded_tokens']} decoded; "
        f"{report['quiet_rounds']} of {report['rounds']} rounds quiet"
    )
    for name, engine in report["engines"].items():
        yield ""
        yield name
        yield f"  prefill      {_spread(engine['prefill_tokens_per_s'])} tokens/s"
        yield f"  decode       {_spread(engine['decode_tokens_per_s'])} tokens/s"
        yield f"  first token  {_spread(engine['ttft_s'], 1e3)} ms"
        token = engine["token_s"]
        yield f"  per token    {1e3 * token['p50']:.1f} ms p50, {1e3 * token['p95']:.1f} ms p95"
        yield f"  load         {engine['load_s']:.2f} s"
        yield f"  peak memory  {engine['peak_rss_bytes'] / 2**20:,.0f} MiB"
    if "ratios" in report:
        ratios = report["ratios"]
        yield ""
        yield "inference against llama.cpp, round by round"
        yield f"  prefill      {_spread(ratios['prefill'], digits=2)} times as fast"
        yield f"  decode       {_spread(ratios['decode'], digits=2)} times as fast"
        yield f"  load         {ratios['load']:.2f} of the time"
        yield f"  peak memory  {ratios['peak_rss']:.2f} of the size"
    roofline = report["roofline"]
    yield ""
    yield "memory"
    yield f"  this machine reads    {_spread(roofline['read_bytes_per_s'], 1e-9)} GB/s"
    yield f"  a token reads         {roofline['bytes_per_token'] / 1e6:.1f} MB"
    yield f"  share of that limit   {_spread(roofline['share'], 100, digits=0)} %"
    if reason := report["operations"]["reason"]:
        yield ""
        yield f"not in one piece, but operation by operation: {reason}"
    for phase, unit, key, scale in (
        ("decode", "GB/s", "bytes_per_s", 1e-9),
        ("prefill", "GFLOP/s", "flops_per_s", 1e-9),
    ):
        yield ""
        yield f"{phase}, part by part {'share':>23} {'ms':>9} {unit:>9}"
        operations = report["operations"][phase]["operations"]
        for row in operations[:_LISTED]:
            rate = f" {row[key] * scale:9.1f}" if row[key] else ""
            yield f"  {row['name']:<34}{row['share']:7.1%} {1e3 * row['seconds']:9.2f}{rate}"
        rest = operations[_LISTED:]
        if rest:
            seconds = sum(row["seconds"] for row in rest)
            share = sum(row["share"] for row in rest)
            yield f"  {f'{len(rest)} others':<34}{share:7.1%} {1e3 * seconds:9.2f}"


def _spread(values: dict[str, float], scale: float = 1.0, *, digits: int = 1) -> str:
    median, low, high = (values[key] * scale for key in ("median", "low", "high"))
    return f"{median:,.{digits}f} [{low:,.{digits}f} … {high:,.{digits}f}]"
