"""The options of sampling, the same for every command that generates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from inference.errors import InputError

MaxTokensOption = Annotated[int, typer.Option("--max-tokens", "-n", min=1, help="Most new tokens.")]
TemperatureOption = Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")]
TopKOption = Annotated[int, typer.Option(min=0, help="Keep the K likeliest tokens; 0: all.")]
TopPOption = Annotated[
    float, typer.Option(max=1.0, help="Keep the fewest tokens that together reach P.")
]
MinPOption = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, help="Keep tokens at least P times as likely as the best."),
]
TypicalPOption = Annotated[
    float, typer.Option(max=1.0, help="Keep tokens of typical surprise that together reach P.")
]
RepetitionOption = Annotated[float, typer.Option(help="Divide seen tokens' logits by this.")]
PresenceOption = Annotated[float, typer.Option(help="Subtract this from seen tokens' logits.")]
FrequencyOption = Annotated[float, typer.Option(help="Subtract this for every occurrence.")]
LastNOption = Annotated[
    int, typer.Option(min=-1, help="How many tokens the penalties look back; -1: all.")
]
BiasOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ID=BIAS", help="Add to a token's logit; -inf bans it. Repeatable."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the random draws.")]
StopOption = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="End before this text. Repeatable.")
]


def logit_bias(given: Sequence[str] | None) -> dict[int, float]:
    """Return the biases of ``ID=BIAS`` arguments; ``InputError`` for one that is not that."""
    bias = {}
    for text in given or ():
        token, _, value = text.partition("=")
        try:
            bias[int(token)] = float(value)
        except ValueError:
            raise InputError(f"--logit-bias {text!r} is not ID=BIAS, as in 13=-inf") from None
    return bias
