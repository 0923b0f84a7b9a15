"""Which stages of which layers a traced run keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.errors import InputError
from inference.model.stages import Stage, parse_stages

_RANGE = re.compile(r"\s*(\d{1,9})\s*\.\.\s*(\d{1,9})\s*", re.ASCII)


def parse_layer_range(text: str) -> range:
    """Return the layers of ``START..END``, END exclusive.

    Raises:
        InputError: not two unsigned integers, or END is not greater than START.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InputError(f"layer range {text!r} is not START..END, such as 0..4 (END excluded)")
    start, end = int(match[1]), int(match[2])
    if end <= start:
        raise InputError(f"layer range {text!r} is empty: END must be greater than START")
    return range(start, end)


@dataclass(frozen=True, slots=True)
class TracePlan:
    """The stages to keep, and the layers to keep them for (None: every layer)."""

    stages: tuple[Stage, ...] = ()
    layers: range | None = None

    @classmethod
    def parse(cls, stages: str, layers: str | None = None) -> TracePlan:
        """Read a plan from its command-line spelling, such as ``("ffn_gate,ffn_up", "0..4")``."""
        return cls(parse_stages(stages), None if layers is None else parse_layer_range(layers))

    def should_save(self, stage: Stage, layer: int | None) -> bool:
        """Tell whether the value of ``stage`` at ``layer`` (None: whole model) is to be kept."""
        if stage not in self.stages:
            return False
        return stage.whole_model or self.layers is None or layer in self.layers

    def within(self, layers: int) -> TracePlan:
        """Return the plan itself after checking that a model of ``layers`` layers can follow it.

        Raises:
            InputError: the range reaches past the last layer.
        """
        if self.layers is not None and self.layers.stop > layers:
            raise InputError(
                f"layer range {self.layers.start}..{self.layers.stop} reaches past the last layer; "
                f"the model has layers 0..{layers} (END excluded)"
            )
        return self
