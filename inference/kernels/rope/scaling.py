"""Rotary frequencies for contexts longer than those of the first training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Frequencies = NDArray[np.float64]


def interpolated(frequencies: Frequencies, factor: float) -> Frequencies:
    """Divide every frequency by ``factor``: positions are squeezed into the trained range.

    Source: Chen et al. 2023, Extending context window of large language models via positional
    interpolation.
    """
    return frequencies / factor


def interpolated_by_parts(
    frequencies: Frequencies,
    factor: float,
    low_freq_factor: float,
    high_freq_factor: float,
    original_context: int,
) -> Frequencies:
    """Divide by ``factor`` the frequencies that turn rarely within ``original_context`` tokens.

    Fewer than ``low_freq_factor`` turns: divided; more than ``high_freq_factor``: kept; between
    them a linear mixture.

    Source: Llama 3.1; Peng et al. 2023 (YaRN), section 3.2.
    """
    turns = original_context * frequencies / (2 * math.pi)
    kept = np.clip((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0.0, 1.0)
    mixed: Frequencies = frequencies * (kept + (1.0 - kept) / factor)
    return mixed
