"""Do two traced runs agree? Verdicts over statistics, with the rule that makes them mean anything.

Statistics may be compared only when both sides looked at the same elements: every comparison here
begins with the counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.errors import InputError
from inference.trace.activations import SLOTS, ForwardTrace, LayerActivation
from inference.trace.statistics import ActivationStats


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """How many elements each side of a comparison summarised in one slot."""

    layer: int
    slot: str
    a: int
    b: int


def within_band(value: float, low: float, high: float) -> bool:
    """Tell whether ``value`` lies in [low, high], bounds finite; NaN and infinities never do."""
    return low <= value <= high


def std_ratio(a: ActivationStats, b: ActivationStats) -> float:
    """Return a.std_dev / b.std_dev of two summaries over equally many elements.

    Raises:
        InputError: the counts differ, so that the ratio would compare different things.
    """
    if a.count != b.count:
        raise InputError(
            f"statistics over {a.count} and {b.count} elements cannot be compared; "
            "sample the same tokens on both sides"
        )
    if b.std_dev == 0.0:
        return 1.0 if a.std_dev == 0.0 else math.inf
    return a.std_dev / b.std_dev


def layer_ratios(a: ForwardTrace, b: ForwardTrace, slot: str) -> list[float]:
    """Return the std ratio of one slot for every layer.

    Raises:
        InputError: the runs have different numbers of layers, or summarised different counts.
    """
    return [std_ratio(left.slot(slot), right.slot(slot)) for left, right in _paired_layers(a, b)]


def _paired_layers(
    a: ForwardTrace, b: ForwardTrace
) -> Iterator[tuple[LayerActivation, LayerActivation]]:
    left, right = a.layer_activations, b.layer_activations
    if len(left) != len(right):
        raise InputError(f"traces of {len(left)} and {len(right)} layers cannot be compared")
    return zip(left, right, strict=True)


def slot_counts(a: LayerActivation, b: LayerActivation) -> Iterator[SlotCounts]:
    """Yield the element counts of the ten slots of one layer, side by side."""
    for slot in SLOTS:
        yield SlotCounts(a.layer_idx, slot, a.slot(slot).count, b.slot(slot).count)


def count_mismatches(a: ForwardTrace, b: ForwardTrace) -> list[SlotCounts]:
    """Return the slots of all layers over which the two runs summarised different counts.

    Raises:
        InputError: the runs have different numbers of layers.
    """
    return [
        counts
        for left, right in _paired_layers(a, b)
        for counts in slot_counts(left, right)
        if counts.a != counts.b
    ]


def first_divergence(agreements: Sequence[float], threshold: float) -> int | None:
    """Return the index of the first agreement (such as a cosine) below ``threshold``, if any.

    NaN counts as no agreement. Given in the order of computation, the index names the cause: what
    comes later only inherits it.
    """
    for index, agreement in enumerate(agreements):
        if not agreement >= threshold:
            return index
    return None
