"""`apr run`: continue a prompt."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from inference.cli.common import (
    BackendOption,
    JsonOption,
    ModelArgument,
    NumericsOption,
    model_path,
    print_json,
)

EXAMPLES = """
apr run qwen2.5-coder-0.5b-instruct "def fibonacci(n):" --max-tokens 64
apr run qwen2.5-coder-0.5b-instruct "What is 2+2?" --chat
apr run model.gguf "Once upon a time" --temperature 0.8 --seed 7 --json
"""


def app_command(
    model: ModelArgument,
    prompt: Annotated[str, typer.Argument(help="Text to continue, or a message with --chat.")],
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most new tokens.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random draws.")] = 0,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Go on after an end-of-generation token.")
    ] = False,
    numerics: NumericsOption = "fused",
    backend: BackendOption = "auto",
    json: JsonOption = False,
) -> None:
    """Continue a prompt and print the text as it comes; end-of-generation tokens stop it.

    With --json: prompt, text, ids, finish_reason, tokens per second, times in seconds.
    """
    import inference

    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "ignore_eos": ignore_eos,
    }
    path = model_path(model)
    with inference.load(path, backend=backend, numerics=numerics) as lm:
        if chat:
            from inference.text.chat import ChatTemplate

            messages = [{"role": "user", "content": prompt}]
            prompt = ChatTemplate.of(lm.tokenizer).render(messages)
        if not json:
            for piece in lm.stream(prompt, **options):
                typer.echo(piece.text, nl=False)
            typer.echo()
            return
        result = lm.generate(prompt, **options)
        print_json(
            {
                "model": str(path),
                "numerics": lm.numerics,
                "backend": lm.backend,
                "prompt": prompt,
                "prompt_ids": list(result.prompt_ids),
                "text": result.text,
                "ids": list(result.ids),
                "finish_reason": result.finish_reason,
                "tokens_per_s": round(result.tokens_per_s, 3),
                "prefill_s": round(result.prefill_s, 6),
                "decode_s": round(result.decode_s, 6),
            }
        )
