"""The tensors of an open model as another file shall have them, streamed in bounded pieces."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.errors import EngineError, InputError, ModelFileError
from inference.formats.base import ModelFile, TensorInfo
from inference.formats.rows import STRIP_VALUES, PackedRows
from inference.formats.writing import Pieces, TensorSource, digest_of
from inference.quant import WRITABLE, quantize
from inference.quant.types import GGMLType, TensorType, block_size, prefix_bytes

PIECE = 1 << 22
"""Bytes that pass through at a time."""

Progress = Callable[[str, int, int], None]
"""Called with the tensor's name, the bytes of the source that are done, and those in all."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What becomes of one tensor: its name in the target, its type there, its rows and values.

    ``order`` says which row of the source comes at each place, ``shift`` is added to every value.
    """

    info: TensorInfo
    target_name: str
    dtype: TensorType
    order: NDArray[np.intp] | None = None
    shift: float = 0.0

    @property
    def keeps_bytes(self) -> bool:
        """Tell whether the packed bytes arrive as they are."""
        return self.dtype == self.info.dtype and self.order is None and self.shift == 0


class Conversion:
    """Recipes for all tensors of a file; ``digests`` fills while they are written.

    ``added`` are tensors that the source does not have, by canonical name; ``dropped`` are those
    of the source that the target says otherwise.
    """

    def __init__(
        self,
        file: ModelFile,
        recipes: list[Recipe],
        *,
        added: Mapping[str, TensorSource] | None = None,
        dropped: Collection[str] = (),
        progress: Progress | None = None,
    ) -> None:
        self.file = file
        self.recipes = recipes
        self.added = dict(added or {})
        self.dropped = set(dropped)
        self.digests: dict[str, str] = {}
        self._progress = progress
        self._total = sum(recipe.info.nbytes for recipe in recipes)
        self._done: dict[str, int] = {}

    def sources(self) -> Iterator[TensorSource]:
        """Yield what the writers take."""
        for recipe in self.recipes:
            info = recipe.info
            pieces = partial(self._hashed, info.name, partial(_pieces, self.file, recipe))
            yield TensorSource(recipe.target_name, recipe.dtype, info.shape, pieces)
        for name, tensor in self.added.items():
            pieces = partial(self._hashed, name, tensor.pieces)
            yield TensorSource(tensor.name, tensor.dtype, tensor.shape, pieces)

    def _hashed(self, name: str, pieces: Callable[[], Pieces]) -> Pieces:
        digest = hashlib.sha256()
        for piece in pieces():
            digest.update(piece)
            yield piece
        self.digests[name] = digest.hexdigest()
        if self._progress is not None and name in self.file.tensors:
            self._done[name] = self.file.tensors[name].nbytes
            self._progress(name, sum(self._done.values()), self._total)

    def check(self, written: ModelFile) -> None:
        """Refuse a written file that is not as planned: names, types, shapes, bytes by digest.

        Where bytes are kept the digest is that of the source as well.
        """
        planned = {
            recipe.info.name: (recipe.info.shape, recipe.dtype) for recipe in self.recipes
        } | {name: (tensor.shape, tensor.dtype) for name, tensor in self.added.items()}
        wanted = (self.file.tensors.keys() - self.dropped) | self.added.keys()
        if not planned or not written.tensors.keys() == planned.keys() == wanted:
            raise EngineError(
                f"{written.path}: the tensors written are not those of {self.file.path}"
            )
        for name, (shape, dtype) in planned.items():
            other = written.tensors[name]
            found = other.shape, other.dtype, digest_of(written, name)
            if found != (shape, dtype, self.digests.get(name)):
                raise EngineError(
                    f"{written.path}: tensor {name!r} is not what {self.file.path} has"
                )

    def types(self) -> dict[str, int]:
        """Return how many tensors of each type the target has."""
        return dict(Counter(recipe.dtype.name for recipe in self.recipes))


def fitting_type(wanted: TensorType, info: TensorInfo) -> TensorType:
    """Return ``wanted``, or the nearest type whose blocks divide a row, as llama.cpp falls back."""
    smaller = {
        GGMLType.Q4_K: GGMLType.Q5_0,
        GGMLType.Q5_K: GGMLType.Q5_1,
        GGMLType.Q6_K: GGMLType.Q8_0,
    }
    columns = info.shape[-1]
    for dtype in (wanted, smaller.get(wanted, GGMLType.F16)):
        if columns % block_size(dtype) == 0:
            return dtype
    return GGMLType.F16


def check_quantizable(wanted: TensorType) -> None:
    """Refuse a type that no quantizer packs, naming those that there are."""
    if wanted not in WRITABLE:
        known = ", ".join(sorted(dtype.name for dtype in WRITABLE))
        raise InputError(f"there is no quantizer for {wanted.name}; there is one for {known}")


def _pieces(file: ModelFile, recipe: Recipe) -> Pieces:
    if recipe.keeps_bytes:
        return _raw(file, recipe.info)
    if recipe.dtype == recipe.info.dtype and recipe.shift == 0:
        return _reordered(file, recipe)
    return _computed(file, recipe)


def _raw(file: ModelFile, info: TensorInfo) -> Iterator[memoryview]:
    raw = file.raw(info.name).data
    for start in range(0, len(raw), PIECE):
        yield raw[start : start + PIECE]


def _reordered(file: ModelFile, recipe: Recipe) -> Iterator[memoryview]:
    """Yield the packed rows in another order: rows are packed one by one in every type.

    The rows of a vector are its values.
    """
    assert recipe.order is not None
    if len(recipe.info.shape) == 1:
        values = file.raw(recipe.info.name).reshape(recipe.info.shape[0], -1)
        yield values[recipe.order].reshape(-1).data
        return
    rows = PackedRows(recipe.info, file.raw(recipe.info.name))
    yield rows.prefix.data
    step = max(1, PIECE // rows.packed.shape[1])
    for start in range(0, len(rows), step):
        yield rows.packed[recipe.order[start : start + step]].reshape(-1).data


def _computed(file: ModelFile, recipe: Recipe) -> Iterator[memoryview]:
    """Yield expanded, moved, shifted and packed rows."""
    rows = PackedRows(recipe.info, file.raw(recipe.info.name))
    if len(recipe.info.shape) == 1 and recipe.order is not None:
        values = rows.expand(np.arange(1))[:, recipe.order] + np.float32(recipe.shift)
        yield _packed(file.path, recipe, values)
        return
    order = np.arange(len(rows)) if recipe.order is None else recipe.order
    # A type with one scale for the whole tensor has to see all of it.
    whole = prefix_bytes(recipe.dtype) > 0
    step = len(rows) if whole else max(1, STRIP_VALUES // rows.columns)
    for start in range(0, len(rows), step):
        values = rows.expand(order[start : start + step])
        if recipe.shift:
            values = values + np.float32(recipe.shift)
        yield _packed(file.path, recipe, values)


def _packed(path: Path, recipe: Recipe, values: NDArray[np.float32]) -> memoryview:
    try:
        return quantize(values, recipe.dtype).reshape(-1).data
    except ValueError as error:
        raise ModelFileError(path, f"tensor {recipe.info.file_name!r}: {error}") from error
