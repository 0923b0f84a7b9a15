"""Products with a weight matrix on the CPU: which kernel serves which tensor type, and the record.

The choice is a table. A type that a numeric path does not list is refused when the model is
loaded; nothing falls back to another kernel.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference import threads as pool
from inference.backends.protocol import Dispatch
from inference.backends.weights import Numerics, Weight
from inference.errors import InputError, UnsupportedTypeError
from inference.kernels.matmul.cpu import matmul
from inference.kernels.qmatmul import (
    FUSED_KERNELS,
    PackedWeight,
    Reserved,
    kernel_name,
    multiply,
    pack,
    packed_bytes,
    quantize_activations,
)
from inference.kernels.qmatmul.regions import SMALLEST, room
from inference.quant import DECODERS
from inference.quant.types import GGMLType

Array = NDArray[np.float32]

FLOAT_TYPES = (GGMLType.F32, GGMLType.F16, GGMLType.BF16)
FLOAT, INT8 = "f32-matmul", "int8-dot"
WHOLE = (slice(None),)

PRODUCTS: Mapping[Numerics, Mapping[GGMLType, str]] = {
    "f32": dict.fromkeys(DECODERS, FLOAT),
    "fused": {**dict.fromkeys(FLOAT_TYPES, FLOAT), **dict.fromkeys(FUSED_KERNELS, INT8)},
}
"""Numeric path -> tensor type -> kind of product."""


def choose_product(weight: Weight, numerics: Numerics) -> str:
    """Look up the kind of product for a tensor.

    Raises:
        UnsupportedTypeError: the path has no kernel for the tensor's type.
        InputError: no numeric path has that name.
    """
    if numerics not in PRODUCTS:
        raise InputError(f"unknown numerics {numerics!r}; choose {' or '.join(PRODUCTS)}")
    product = PRODUCTS[numerics].get(weight.dtype)
    if product is None:
        others = [name for name, table in PRODUCTS.items() if weight.dtype in table]
        advice = f"; load with numerics={others[0]!r}" if others else ""
        raise UnsupportedTypeError(
            f"tensor {weight.name!r} is {weight.dtype.name}, "
            f"for which the {numerics} path has no kernel{advice}"
        )
    return product


class LinearLayers:
    """Every matrix of a model bound to its kernel, with a log of what really ran."""

    def __init__(self, matrices: Mapping[str, Weight], numerics: Numerics) -> None:
        self._matrices = matrices
        self._packed: dict[str, PackedWeight] = {}
        self._packing = threading.RLock()  # a signal handler may come here again
        self._memory: Mapping[str, Reserved] = {}
        self.log: dict[str, Dispatch] = {}
        self._rounded: tuple[Array, NDArray[np.int8], Array] | None = None
        for name, weight in matrices.items():
            product = choose_product(weight, numerics)
            kernel = matmul if product == FLOAT else FUSED_KERNELS[weight.dtype]
            self.log[name] = Dispatch(name, weight.dtype, product, kernel_name(kernel))

    def __call__(self, x: Array, name: str, groups: Sequence[slice] = WHOLE) -> Array:
        """Return x Wᵀ for the matrix called ``name``; x is [n, in], the result [n, out].

        ``groups`` are the rows of each text in x; a row's result does not depend on other groups.
        """
        entry = self.log[name]
        if entry.product == INT8:
            y = multiply(self.pack(name), *self._round(x))
        else:
            y = float_product(x, self._matrices[name], groups)
        entry.calls += 1
        return y

    def expect(self, names: Collection[str]) -> None:
        """Make memory ready, beside whatever else happens, for matrices that will be packed."""
        names = frozenset(name for name in names if self.log[name].product == INT8)
        weights = [self._matrices[name] for name in names]
        size = sum(room(packed_bytes(w.dtype, w.rows, w.columns)) for w in weights)
        if size >= SMALLEST and pool.available() > 1:
            self._memory = dict.fromkeys(names, Reserved(size))

    def pack(self, name: str) -> PackedWeight:
        """Pack a matrix at its first product: an embedding table may never be multiplied."""
        packed = self._packed.get(name)
        if packed is None:
            with self._packing:
                packed = self._packed.get(name)
                if packed is None:
                    weight = self._matrices[name]
                    packed = pack(
                        weight.packed,
                        weight.dtype,
                        weight.rows,
                        weight.columns,
                        self._memory.get(name),
                    )
                    self._packed[name] = packed
        return packed

    def _round(self, x: Array) -> tuple[NDArray[np.int8], Array]:
        """Round x to int8, once for all the matrices that multiply the same array."""
        rounded = self._rounded  # read once: another thread may replace it
        if rounded is None or rounded[0] is not x:
            rounded = self._rounded = (x, *quantize_activations(x))
        return rounded[1:]


def float_product(x: Array, weight: Weight, groups: Sequence[slice] = WHOLE) -> Array:
    """Return x Wᵀ in float32 from the expanded matrix, strip by strip when it is not kept.

    Each group of rows is a product of its own: how BLAS rounds depends on how many rows it gets.
    """
    y = np.empty((len(x), weight.rows), np.float32)
    for columns, values in weight.strips():
        if len(values) == weight.rows and len(groups) == 1:
            return matmul(x, values.T)  # all there is: logits are too many to copy for nothing
        for rows in groups:
            y[rows, columns] = matmul(x[rows], values.T)
    return y
