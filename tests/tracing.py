"""Coverage without tracing every test: most run lines that others like them have run already.

While a process is traced all of its Python code takes twice as long, and a line has to be seen only
once. So of the cases of a parametrized test, and of a file's tests that run pytest within, only one
in a few is traced, the first of them always, and what is marked ``untraced`` never. What coverage
says is what was seen to run, at the least; it is the same in every run of the same tests, whoever
runs beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage

EVERY = 4
"""One in how many is traced."""


def spared(items: Iterable[pytest.Item]) -> set[str]:
    """Return the node ids of those tests, of all that were collected, that need no tracing."""
    seen: Counter[str] = Counter()
    found = set()
    for item in items:
        kind = _kind(item)
        if item.get_closest_marker("untraced") is not None:
            found.add(item.nodeid)
        elif kind is not None:
            if seen[kind] % EVERY:
                found.add(item.nodeid)
            seen[kind] += 1
    return found


def _kind(item: pytest.Item) -> str | None:
    if hasattr(item, "callspec"):
        return item.nodeid.partition("[")[0]
    if "pytester" in getattr(item, "fixturenames", ()):
        return item.location[0]
    return None


@contextmanager
def untraced() -> Iterator[None]:
    """Let coverage look away for a while, if it looks at all.

    All of it: in a worker of pytest-xdist pytest-cov starts a second measurement upon the first,
    which goes on when the second stops.
    """
    stopped = []
    while (measuring := Coverage.current()) is not None:
        measuring.stop()
        stopped.append(measuring)
    try:
        yield
    finally:
        for measuring in reversed(stopped):
            measuring.start()
