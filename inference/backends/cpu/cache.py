"""Keys and values of the tokens already seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.errors import ContextOverflowError
from inference.kernels.cpu.checked import zeros
from inference.kernels.gqa.blocked import padded
from inference.kernels.gqa.tiles import LANES
from inference.memory import needing

Array = NDArray[np.float32]


class KVCache:
    """Rotated keys and values per layer, float32, grown by doubling up to ``capacity`` tokens.

    Every layer appends the same tokens in turn; ``commit`` makes them part of the past.
    """

    _keys: Array
    _values: Array

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, *, capacity: int, initial: int = 256
    ) -> None:
        self.capacity = capacity
        self.length = 0
        self.shape = layers, kv_heads, head_dim
        self._rows = 0
        self._resize(min(initial, capacity))

    def reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` more, or refuse before anything is computed.

        Raises:
            ContextOverflowError: the context cannot hold them.
        OutOfMemoryError: the machine cannot.
        """
        wanted = self.length + tokens
        if wanted > self.capacity:
            raise ContextOverflowError(
                f"{wanted} tokens do not fit a context of {self.capacity}; "
                "shorten the prompt or ask for fewer tokens"
            )
        if wanted > self._rows:
            with needing(f"for the keys and values of {wanted:,} tokens"):
                self._resize(min(max(wanted, 2 * self._rows), self.capacity))

    def _resize(self, rows: int) -> None:
        """Make room for ``rows`` tokens in all, keeping those of the past."""
        layers, kv_heads, head_dim = self.shape
        keys = np.empty((layers, rows, kv_heads, head_dim), np.float32)
        values = np.empty_like(keys)
        if self.length:
            keys[:, : self.length] = self._keys[:, : self.length]
            values[:, : self.length] = self._values[:, : self.length]
        self._keys, self._values, self._rows = keys, values, rows

    def append(self, layer: int, keys: Array, values: Array) -> None:
        """Write the new tokens' keys and values [n, kv_heads * head_dim] after the past ones."""
        shape = (len(keys), *self.shape[1:])
        end = self.length + len(keys)
        self._keys[layer, self.length : end] = keys.reshape(shape)
        self._values[layer, self.length : end] = values.reshape(shape)

    def view(self, layer: int, pending: int) -> tuple[Array, Array]:
        """Return keys and values [past + pending, kv_heads, head_dim] of a layer."""
        end = self.length + pending
        return self._keys[layer, :end], self._values[layer, :end]

    def commit(self, tokens: int) -> None:
        """Count ``tokens`` appended rows as past."""
        self.length += tokens

    def truncate(self, length: int) -> None:
        """Forget everything after the first ``length`` tokens."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate a cache of {self.length} tokens to {length}")
        self.length = length

    def snapshot(self) -> tuple[Array, Array]:
        """Return copies of the past keys and values [layers, length, kv_heads, head_dim]."""
        past = [self.view(layer, 0) for layer in range(self.shape[0])]
        return np.stack([keys for keys, _ in past]), np.stack([values for _, values in past])

    def restore(self, keys: Array, values: Array) -> None:
        """Make a snapshot the whole past.

        Raises:
            ValueError: it has other layers, heads or sizes than this cache.
            ContextOverflowError: it is longer than ``capacity``.
        """
        layers, heads, size = self.shape
        if keys.ndim != 4 or (keys.shape[0], *keys.shape[2:]) != (layers, heads, size):
            raise ValueError(f"keys {keys.shape} for {layers} layers of {heads} heads x {size}")
        if values.shape != keys.shape:
            raise ValueError(f"keys {keys.shape}, but values {values.shape}")
        self.truncate(0)
        self.reserve(keys.shape[1])
        for layer in range(layers):
            self.append(layer, keys[layer], values[layer])
        self.commit(keys.shape[1])


class BlockedKVCache(KVCache):
    """The same past in the layout of `inference.kernels.gqa.blocked`, which compiled code extends.

    ``keys`` is [layers, kv_heads, blocks, head_dim, 16], ``values`` [layers, kv_heads, rows,
    head_dim filled up to whole vectors]; both float32.
    """

    keys: Array
    values: Array

    def _resize(self, rows: int) -> None:
        layers, kv_heads, head_dim = self.shape
        blocks = padded(rows) // LANES
        keys = zeros((layers, kv_heads, blocks, head_dim, LANES), "the keys of a cache")
        shape = layers, kv_heads, blocks * LANES, padded(head_dim)
        values = zeros(shape, "the values of a cache")
        if self.length:
            used = padded(self.length) // LANES
            keys[:, :, :used] = self.keys[:, :, :used]
            values[:, :, : self.length] = self.values[:, :, : self.length]
        self.keys, self.values, self._rows = keys, values, rows

    @property
    def rows(self) -> int:
        """Tokens for which there is room."""
        return self._rows

    def append(self, layer: int, keys: Array, values: Array) -> None:
        """Write the new tokens' keys and values [n, kv_heads * head_dim] after the past ones."""
        kv_heads, head_dim = self.shape[1:]
        shape = (len(keys), kv_heads, head_dim)
        places = np.arange(self.length, self.length + len(keys))
        self.keys[layer, :, places // LANES, :, places % LANES] = keys.reshape(shape)
        by_head = values.reshape(shape).transpose(1, 0, 2)
        self.values[layer, :, self.length : self.length + len(keys), :head_dim] = by_head

    def view(self, layer: int, pending: int) -> tuple[Array, Array]:
        """Return copies of keys and values [past + pending, kv_heads, head_dim] of a layer."""
        kv_heads, head_dim = self.shape[1:]
        end = self.length + pending
        keys = self.keys[layer].transpose(1, 3, 0, 2).reshape(-1, kv_heads, head_dim)[:end]
        values = self.values[layer, :, :end, :head_dim].transpose(1, 0, 2)
        return keys, values.copy()
