"""The observer of a forward pass: sees stage values as they are computed, and changes none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.model.stages import Stage
from inference.trace.activations import (
    SLOT_OF_STAGE,
    ForwardTrace,
    LastTokenStats,
    LayerActivation,
    Trace,
)
from inference.trace.plan import TracePlan
from inference.trace.statistics import ActivationStats

Array = NDArray[np.float32]


class Recorder:
    """Collects the statistics of every layer, and copies of the values in a plan."""

    def __init__(self, plan: TracePlan) -> None:
        self.plan = plan
        self._values: dict[tuple[Stage, int | None], Array] = {}
        self._stats: dict[tuple[Stage, int | None], ActivationStats] = {}
        self._last: dict[tuple[Stage, int | None], ActivationStats] = {}
        self._path = ""

    def ran(self, path: str) -> None:
        """Take note of the way the watched run goes."""
        self._path = path

    def wants(self, stage: Stage, layer: int | None) -> bool:
        """Tell whether the stage has a slot in the statistics or a place in the plan."""
        return (
            stage in SLOT_OF_STAGE
            or stage in (Stage.EMBEDDING, Stage.FINAL_NORM, Stage.LM_HEAD)
            or self.plan.should_save(stage, layer)
        )

    def observe(self, stage: Stage, layer: int | None, value: Array) -> None:
        """Summarise a value, and keep a copy when the plan asks for it."""
        if self.plan.should_save(stage, layer):
            self._values[stage, layer] = value.copy()
        self._stats[stage, layer] = ActivationStats.of(value)
        if stage in SLOT_OF_STAGE:
            self._last[stage, layer] = ActivationStats.of(value[-1:])

    def finish(self, tokens: tuple[int, ...], logits: Array) -> Trace:
        """Assemble what was seen; ``logits`` are the last position's, [vocab]."""
        empty = ActivationStats()
        layers = []
        for index in sorted({layer for _, layer in self._last if layer is not None}):
            full, last = (
                {f"{slot}_stats": seen[stage, index] for stage, slot in SLOT_OF_STAGE.items()
                 if (stage, index) in seen}
                for seen in (self._stats, self._last)
            )  # fmt: skip
            layers.append(LayerActivation(index, **full, last_token=LastTokenStats(**last)))
        forward = ForwardTrace(
            input_tokens=tokens,
            embed_stats=self._stats.get((Stage.EMBEDDING, 0), empty),
            layer_activations=tuple(layers),
            final_norm_stats=self._stats.get((Stage.FINAL_NORM, None), empty),
            logits_stats=self._stats.get((Stage.LM_HEAD, None), empty),
            logits=logits,
        )
        return Trace(forward, self._values, self._path)
