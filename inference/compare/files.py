"""Two model files, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.formats.base import ModelFile, TensorInfo
from inference.formats.rows import PackedRows


@dataclass(frozen=True, slots=True)
class TensorDiff:
    """How one tensor differs; the figures are None where shapes forbid or nobody asked."""

    name: str
    a: str
    b: str
    max_abs_diff: float | None = None
    rms_diff: float | None = None
    cosine_sim: float | None = None


@dataclass(slots=True)
class ModelDiff:
    """What two files have in common. They are equal only if something was compared."""

    compared: int = 0
    identical: int = 0
    different: list[TensorDiff] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """True when every tensor of either file was compared and found the same."""
        return self.compared > 0 and not (self.different or self.only_a or self.only_b)


def compare_models(a: ModelFile, b: ModelFile, *, values: bool = False) -> ModelDiff:
    """Compare the tensors of two files by canonical name.

    Tensors of one type are the same when their bytes are; otherwise, with ``values``, both are
    expanded to float32 and the distance is measured.
    """
    result = ModelDiff(
        only_a=sorted(a.tensors.keys() - b.tensors.keys()),
        only_b=sorted(b.tensors.keys() - a.tensors.keys()),
    )
    for name in sorted(a.tensors.keys() & b.tensors.keys()):
        left, right = a.tensors[name], b.tensors[name]
        result.compared += 1
        if (left.shape, left.dtype) == (right.shape, right.dtype) and np.array_equal(
            a.raw(name), b.raw(name)
        ):
            result.identical += 1
            continue
        figures = _distance(a, b, name) if values and left.shape == right.shape else {}
        if figures.get("max_abs_diff") == 0.0:
            result.identical += 1
            continue
        result.different.append(TensorDiff(name, _describe(left), _describe(right), **figures))
    return result


def _describe(info: TensorInfo) -> str:
    return f"{info.dtype.name}{list(info.shape)}"


def strips(file: ModelFile, name: str) -> Iterator[NDArray[np.float32]]:
    """Yield a tensor's values in float32, some rows at a time."""
    return PackedRows(file.tensors[name], file.raw(name)).strips()


def _distance(a: ModelFile, b: ModelFile, name: str) -> dict[str, float]:
    largest = squares = dot = norm_a = norm_b = 0.0
    count = 0
    for left, right in zip(strips(a, name), strips(b, name), strict=True):
        x, y = left.astype(np.float64), right.astype(np.float64)
        difference = np.abs(x - y)
        largest = max(largest, float(difference.max()))
        squares += float(np.sum(difference**2))
        dot += float(np.sum(x * y))
        norm_a += float(np.sum(x * x))
        norm_b += float(np.sum(y * y))
        count += x.size
    norms = (norm_a * norm_b) ** 0.5
    return {
        "max_abs_diff": largest,
        "rms_diff": (squares / count) ** 0.5,
        "cosine_sim": dot / norms if norms > 0.0 else 0.0,
    }
