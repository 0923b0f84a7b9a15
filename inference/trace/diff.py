"""How far two recorded stages are apart, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import InputError
from inference.formats.aprt import StageFile, read_aprt

SCHEMA = "apr-stage-diff-v1"


@dataclass(frozen=True, slots=True)
class ElementDiff:
    """One element of two equally long vectors."""

    index: int
    a: float
    b: float
    abs_diff: float


@dataclass(frozen=True, slots=True)
class VectorDiff:
    """The distance of two vectors.

    A pair of equal values, infinities and NaNs included, differs by 0; a NaN against anything else
    differs by infinity. ``cosine_sim`` is 0 where a norm is 0 or not finite.
    """

    elements: int
    max_abs_diff: float
    max_abs_diff_index: int
    rms_diff: float
    cosine_sim: float
    top_diffs: tuple[ElementDiff, ...]


def diff_vectors(a: NDArray[np.float32], b: NDArray[np.float32], *, limit: int = 10) -> VectorDiff:
    """Compare two vectors of the same shape; list the ``limit`` (at least 1) largest differences.

    Raises:
        InputError: the shapes differ, or there is nothing to compare.
    """
    if a.shape != b.shape or a.size == 0:
        raise InputError(f"cannot compare values of shapes {a.shape} and {b.shape}")
    left, right = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(left - right))
    difference[np.isnan(difference)] = np.inf
    order = np.argsort(-difference, kind="stable")[: max(limit, 1)]
    return VectorDiff(
        elements=left.size,
        max_abs_diff=float(difference[order[0]]),
        max_abs_diff_index=int(order[0]),
        rms_diff=float(np.sqrt(np.mean(difference**2))),
        cosine_sim=cosine(left, right),
        top_diffs=tuple(
            ElementDiff(int(i), float(left[i]), float(right[i]), float(difference[i]))
            for i in order
        ),
    )


def cosine(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Return a·b / (|a| |b|) in float64; 0 where a norm is 0 or not finite."""
    left, right = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    norms = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return float(left @ right) / norms if 0.0 < norms < np.inf else 0.0


def agreement(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Return 2a·b / (|a|² + |b|²): the cosine, lowered where the two differ in scale.

    1 only for equal vectors, about 1 − e²/2 at a relative distance e, 0 where one is not finite.
    """
    left, right = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    squares = float(left @ left) + float(right @ right)
    if squares == 0.0:
        return 1.0
    return 2.0 * float(left @ right) / squares if squares < np.inf else 0.0


@dataclass(frozen=True, slots=True)
class StageDiff:
    """Two APRT files of one stage and what separates them."""

    path_a: Path
    path_b: Path
    layer: int | None
    values: VectorDiff

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema ``apr-stage-diff-v1``; infinities become null."""
        values = self.values
        return {
            "schema": SCHEMA,
            "path_a": str(self.path_a),
            "path_b": str(self.path_b),
            "layer": "whole-model" if self.layer is None else self.layer,
            "dim_product": values.elements,
            "max_abs_diff": _number(values.max_abs_diff),
            "max_abs_diff_index": values.max_abs_diff_index,
            "rms_diff": _number(values.rms_diff),
            "cosine_sim": values.cosine_sim,
            "top_diffs": [
                {
                    "index": top.index,
                    "a": _number(top.a),
                    "b": _number(top.b),
                    "abs_diff": _number(top.abs_diff),
                }
                for top in values.top_diffs
            ],
        }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def diff_stages(path_a: Path, path_b: Path, *, limit: int = 10) -> StageDiff:
    """Compare two APRT files.

    Raises:
        ModelFileError: a file is damaged.
        InputError: they record different layers or different numbers of values.
    """
    a, b = read_aprt(path_a), read_aprt(path_b)
    if a.layer != b.layer:
        raise InputError(f"layer mismatch: {_where(a)} in {path_a}, {_where(b)} in {path_b}")
    if a.values.size != b.values.size:
        raise InputError(
            f"dim_product mismatch: {a.values.size} values in {path_a}, {b.values.size} in {path_b}"
        )
    return StageDiff(path_a, path_b, a.layer, diff_vectors(a.values, b.values, limit=limit))


def _where(stage: StageFile) -> str:
    return "whole-model" if stage.layer is None else f"layer {stage.layer}"
