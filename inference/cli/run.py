"""`apr run`: continue a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.cli.common import (
    BackendOption,
    JsonOption,
    ModelArgument,
    NumericsOption,
    PromptFileOption,
    model_path,
    print_json,
    prompt_text,
)
from inference.cli.sampling_options import (
    BiasOption,
    FrequencyOption,
    LastNOption,
    MaxTokensOption,
    MinPOption,
    PresenceOption,
    RepetitionOption,
    SeedOption,
    StopOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    TypicalPOption,
)
from inference.cli.sampling_options import logit_bias as parsed_bias

if TYPE_CHECKING:
    from inference.decode.generate import Generation
    from inference.text.tokenizer import Tokenizer

EXAMPLES = """
apr run qwen2.5-coder-0.5b-instruct "def fibonacci(n):" --max-tokens 64
apr run qwen2.5-coder-0.5b-instruct "What is 2+2?" --chat
apr run model.gguf "Once upon a time" --temperature 0.8 --top-p 0.95 --seed 7 --json
apr run model.gguf --prompt-file letter.txt --max-tokens 512 --overflow truncate
apr run model.gguf "1, 2, 3," --stop "10" --logprobs 5 --json
"""


def app_command(
    model: ModelArgument,
    prompt: Annotated[
        str | None, typer.Argument(help="Text to continue, or a message with --chat.")
    ] = None,
    prompt_file: PromptFileOption = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.")
    ] = False,
    max_tokens: MaxTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    min_p: MinPOption = 0.0,
    typical_p: TypicalPOption = 1.0,
    repetition_penalty: RepetitionOption = 1.0,
    presence_penalty: PresenceOption = 0.0,
    frequency_penalty: FrequencyOption = 0.0,
    penalty_last_n: LastNOption = 64,
    logit_bias: BiasOption = None,
    seed: SeedOption = 0,
    stop: StopOption = None,
    logprobs: Annotated[
        int | None, typer.Option(min=0, help="With --json: report the N likeliest per token.")
    ] = None,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Go on after an end-of-generation token.")
    ] = False,
    overflow: Annotated[
        Literal["error", "truncate"],
        typer.Option(
            help="Where prompt and --max-tokens exceed the context: refuse, or end there."
        ),
    ] = "error",
    numerics: NumericsOption = "fused",
    backend: BackendOption = "auto",
    json: JsonOption = False,
) -> None:
    """Continue a prompt and print the text as it comes; end-of-generation tokens stop it.

    The options act in this order: logit bias, penalties, top-k, typical-p, top-p, min-p,
    temperature. With --json: prompt, text, ids, finish_reason, tokens per second, times in seconds.
    """
    import inference

    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical_p": typical_p,
        "repetition_penalty": repetition_penalty,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
        "penalty_last_n": penalty_last_n,
        "logit_bias": parsed_bias(logit_bias),
        "seed": seed,
        "stop": stop or (),
        "logprobs": logprobs,
        "ignore_eos": ignore_eos,
        "overflow": overflow,
    }
    prompt = prompt_text(prompt, prompt_file)
    path = model_path(model)
    with inference.load(path, backend=backend, numerics=numerics) as lm:
        if chat:
            from inference.text.chat import ChatTemplate

            template = ChatTemplate.of(lm.tokenizer)
            prompt = template.render([{"role": "user", "content": prompt}])
            ids = template.encode(lm.tokenizer, prompt, limit=lm.config.context_length)
        else:
            ids = lm.tokenizer.encode(prompt, limit=lm.config.context_length)
        if not json:
            for piece in lm.stream(ids, **options):
                typer.echo(piece.text, nl=False)
            typer.echo()
            return
        result = lm.generate(ids, **options)
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
                **({} if logprobs is None else {"logprobs": _reported(result, lm.tokenizer)}),
            }
        )


def _reported(result: Generation, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the logprobs of every generated token, with the text of each that is named."""

    def entry(token: int, logprob: float) -> dict[str, Any]:
        # JSON has no infinity: a token that is certain not to come has no logprob.
        value = round(logprob, 6) if logprob > float("-inf") else None
        return {"id": token, "text": tokenizer.decode([token]), "logprob": value}

    return [
        entry(token, found.chosen) | {"top": [entry(*best) for best in found.top]}
        for token, found in zip(result.ids, result.logprobs, strict=True)
    ]
