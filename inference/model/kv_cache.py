"""Keys and values of the tokens already seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.errors import ContextOverflowError

Array = NDArray[np.float32]


class KVCache:
    """Rotated keys and values per layer, float32, grown by doubling up to ``capacity`` tokens.

    Every layer appends the same tokens in turn; ``commit`` makes them part of the past.
    """

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, *, capacity: int, initial: int = 256
    ) -> None:
        self.capacity = capacity
        self.length = 0
        rows = min(initial, capacity)
        self._keys = np.empty((layers, rows, kv_heads, head_dim), np.float32)
        self._values = np.empty_like(self._keys)

    def reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` more, or refuse before anything is computed.

        Raises:
            ContextOverflowError: the context cannot hold them.
        """
        wanted = self.length + tokens
        if wanted > self.capacity:
            raise ContextOverflowError(
                f"{wanted} tokens do not fit a context of {self.capacity}; "
                "shorten the prompt or ask for fewer tokens"
            )
        rows = self._keys.shape[1]
        if wanted > rows:
            rows = min(max(wanted, 2 * rows), self.capacity)
            self._keys = self._grown(self._keys, rows)
            self._values = self._grown(self._values, rows)

    def _grown(self, old: Array, rows: int) -> Array:
        new = np.empty((old.shape[0], rows, *old.shape[2:]), np.float32)
        new[:, : self.length] = old[:, : self.length]
        return new

    def append(self, layer: int, keys: Array, values: Array) -> None:
        """Write the new tokens' keys and values [n, kv_heads * head_dim] after the past ones."""
        shape = (len(keys), *self._keys.shape[2:])
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
        past = [self.view(layer, 0) for layer in range(len(self._keys))]
        return np.stack([keys for keys, _ in past]), np.stack([values for _, values in past])

    def restore(self, keys: Array, values: Array) -> None:
        """Make a snapshot the whole past.

        Raises:
            ValueError: it has other layers, heads or sizes than this cache.
            ContextOverflowError: it is longer than ``capacity``.
        """
        layers, _, heads, size = self._keys.shape
        if keys.ndim != 4 or (keys.shape[0], *keys.shape[2:]) != (layers, heads, size):
            raise ValueError(f"keys {keys.shape} for {layers} layers of {heads} heads x {size}")
        if values.shape != keys.shape:
            raise ValueError(f"keys {keys.shape}, but values {values.shape}")
        self.truncate(0)
        self.reserve(keys.shape[1])
        for layer in range(layers):
            self.append(layer, keys[layer], values[layer])
        self.commit(keys.shape[1])
