"""Exceptions in pools that a procedure used: nobody hears of one whose result nobody asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Heard:
    """The results that failed within a block, and those that were asked for."""

    def __init__(self) -> None:
        self.failed: list[tuple[object, BaseException]] = []
        self.asked: dict[int, object] = {}

    def asks(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method by which a result is asked for."""

        def asking(result: object, *args: Any, **kwargs: Any) -> Any:
            self.asked[id(result)] = result
            return method(result, *args, **kwargs)

        return asking

    def fails(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``Future.set_exception``."""

        def failing(future: object, exception: BaseException | None) -> Any:
            if exception is not None:
                self.failed.append((future, exception))
            return method(future, exception)

        return failing

    def settles(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the method by which ``multiprocessing.pool`` hands over ``(succeeded, value)``."""

        def settling(result: Any, index: Any, outcome: tuple[bool, Any]) -> Any:
            succeeded, value = outcome
            if not succeeded and getattr(result, "_error_callback", None) is None:
                self.failed.append((result, value))
            return method(result, index, outcome)

        return settling

    def lost(self) -> BaseException | None:
        """Return the first exception whose result nobody asked for."""
        return next((error for owner, error in self.failed if id(owner) not in self.asked), None)


@contextmanager
def pools_that_fail() -> Iterator[None]:
    """Raise, at the end of the block, the first exception in a pool that nobody asked for.

    Tasks that are still at work are not waited for.
    """
    heard = _Heard()
    with ExitStack() as stack:
        for owner, name, wrap in _places(heard):
            method = vars(owner)[name]
            setattr(owner, name, wrap(method))
            stack.callback(setattr, owner, name, method)
        yield
    error = heard.lost()
    if error is not None:
        raise error


def _places(heard: _Heard) -> Iterator[tuple[type, str, Wrap]]:
    yield Future, "set_exception", heard.fails
    yield Future, "result", heard.asks
    yield Future, "exception", heard.asks
    pool = sys.modules.get("multiprocessing.pool")
    if pool is None:
        return
    for name in ("ApplyResult", "MapResult", "IMapIterator", "IMapUnorderedIterator"):
        yield getattr(pool, name), "_set", heard.settles
    yield pool.ApplyResult, "get", heard.asks
    yield pool.IMapIterator, "next", heard.asks
    yield pool.IMapIterator, "__next__", heard.asks
