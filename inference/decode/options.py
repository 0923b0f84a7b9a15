"""What a caller may ask of a generation, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from inference.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How one token is chosen; every default leaves the logits alone.

    Temperature 0 is greedy; ``seed`` matters above 0. The chain runs in llama.cpp's default order:
    ``logit_bias`` (id: addend, -inf bans), the penalties over the last ``penalty_last_n`` tokens,
    prompt included (-1: all), ``top_k`` (0: all), ``typical_p`` (1: all), ``top_p`` (1: all),
    ``min_p`` (0: all), temperature.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 64
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        positive = math.nextafter(0.0, 1.0)
        largest = math.nextafter(math.inf, 0.0)
        _within("temperature", self.temperature, 0.0, largest, "finite and >= 0")
        _within("top_k", self.top_k, 0, math.inf, ">= 0; 0 keeps all")
        _within("top_p", self.top_p, positive, 1.0, "above 0 and at most 1")
        _within("min_p", self.min_p, 0.0, 1.0, "between 0 and 1")
        _within("typical_p", self.typical_p, positive, 1.0, "above 0 and at most 1")
        penalty = self.repetition_penalty
        _within("repetition_penalty", penalty, positive, largest, "finite and above 0")
        _within("presence_penalty", self.presence_penalty, -largest, largest, "finite")
        _within("frequency_penalty", self.frequency_penalty, -largest, largest, "finite")
        _within("penalty_last_n", self.penalty_last_n, -1, math.inf, ">= -1; -1 means all")
        _within("seed", self.seed, 0, math.inf, ">= 0")
        for token, bias in self.logit_bias.items():
            _within(f"logit_bias of token {token}", bias, -math.inf, largest, "a number or -inf")

    @property
    def penalizes(self) -> bool:
        """Whether any penalty can change a logit."""
        asked = (self.repetition_penalty, self.presence_penalty, self.frequency_penalty)
        return self.penalty_last_n != 0 and asked != (1.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(SamplingOptions):
    """How to continue a prompt.

    ``stop`` strings end the text before they appear in it. ``logprobs`` is how many of the
    likeliest tokens to report per step (None: nothing is reported, 0: only the chosen token).
    ``overflow`` says what to do when prompt and ``max_tokens`` exceed the context: refuse, or
    ``truncate`` the answer where the context ends; a prompt that does not fit is always refused.
    """

    max_tokens: int
    ignore_eos: bool = False
    stop: Sequence[str] = ()
    logprobs: int | None = None
    overflow: Literal["error", "truncate"] = "error"

    def __post_init__(self) -> None:
        SamplingOptions.__post_init__(self)
        if self.max_tokens < 1:
            raise InputError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if isinstance(self.stop, str):
            raise InputError("stop must be a sequence of texts, not one text")
        object.__setattr__(self, "stop", tuple(self.stop))
        if not all(self.stop):
            raise InputError("a stop text must not be empty")
        if self.logprobs is not None:
            _within("logprobs", self.logprobs, 0, math.inf, ">= 0")
        if self.overflow not in ("error", "truncate"):
            raise InputError(f"overflow must be 'error' or 'truncate', got {self.overflow!r}")


def _within(name: str, value: float, low: float, high: float, what: str) -> None:
    if not low <= value <= high:  # NaN is not within anything
        raise InputError(f"{name} must be {what}, got {value}")
