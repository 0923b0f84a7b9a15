"""Results that an implementation remembers by ``functools.cache`` or ``lru_cache``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

from pytest_contracts.binding import unwrapped

_CACHED = type(functools.cache(len))


class Memories:
    """The caches around an implementation, and those of the functions in its module.

    What a cache answers is one computation handed out twice, so that two equal answers show
    nothing. A function without parameters keeps what it has: it is no function of the input, but a
    model or a device that is opened once.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        beside = getattr(unwrapped(function), "__globals__", {})
        found = {id(cache): cache for cache in (*_around(function), *beside.values())}
        self._caches = [cache for cache in found.values() if _remembers(cache)]
        for cache in self._caches:
            cache.cache_clear()
        self._computed = self._misses()

    def forget(self) -> None:
        """Empty the caches that have computed something since the last time."""
        computed = self._misses()
        for cache, now, before in zip(self._caches, computed, self._computed, strict=True):
            if now != before:
                cache.cache_clear()
        self._computed = self._misses()

    def _misses(self) -> list[int]:
        return [cache.cache_info().misses for cache in self._caches]


def _around(function: Any) -> Iterator[Any]:
    """Yield a function and what it wraps, partials and methods included."""
    while function is not None:
        yield function
        inner = (getattr(function, name, None) for name in ("func", "__wrapped__", "__func__"))
        function = next((f for f in inner if callable(f)), None)


def _remembers(found: Any) -> bool:
    return type(found) is _CACHED and bool(signature(found).parameters)
